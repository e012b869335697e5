import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { LongshoreError } from "@longshore/core";
import { canonicalIpv6 } from "../network/subnet.ts";

/** One entry of an allow-list. */
export interface EgressRule {
  /** As it was written */
  readonly text: string;
  /** Name or address; behind `*.` the domain; `""` for every host */
  readonly host: string;
  readonly scope: "host" | "subdomains" | "all";
  readonly ports: readonly number[];
}

const defaultPorts = [80, 443];
const maxRules = 1_000;
const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * `host`, `host:port`, `*.domain`, `*.domain:port`, `*` and `*:port`; an IPv6 address stands in brackets when a port
 * follows. `*.domain` does not mean the domain itself.
 *
 * @param field said in errors, e.g. `"egress.allow"`
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parseEgressRules(texts: readonly string[], field: string): readonly EgressRule[] {
  if (texts.length > maxRules) throw invalid(field, `a list of at most ${maxRules} rules`);
  return texts.map((text, index) => parseRule(text, `${field}[${index}]`));
}

/** The first rule that allows a host, which {@link normalizeHost} has made, at a port. */
export function findRule(
  rules: readonly EgressRule[],
  host: string,
  port: number,
): EgressRule | undefined {
  return rules.find((rule) => {
    if (!rule.ports.includes(port)) return false;
    if (rule.scope === "all") return true;
    if (rule.scope === "host") return rule.host === host;
    return isIP(host) === 0 && host.endsWith(`.${rule.host}`);
  });
}

/**
 * A host in the one form in which hosts are compared: lower case, no final dot, Punycode, addresses in their short form and
 * IPv4 ones in their own. Undefined for what is no host, also for the numeric names (`127.1`, `0x7f000001`) that some
 * resolvers take for addresses.
 */
export function normalizeHost(text: string): string | undefined {
  if (text.length > 255 || text === "") return undefined;
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const family = isIP(bare);
  if (family === 4) return bare === text ? text : undefined;
  if (family === 6) return bare.includes("%") ? undefined : withoutMapping(canonicalIpv6(bare));
  if (bare !== text) return undefined;
  // Node's function reads a host as in a URL: it cuts at slashes, decodes percents and drops line breaks.
  if (/[^A-Za-z0-9._\u{80}-\u{10ffff}-]/u.test(text)) return undefined;
  const name = domainToASCII(text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  const labels = name.split(".");
  if (name.length > 253 || !labels.every((part) => label.test(part))) return undefined;
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") ? undefined : name;
}

/** `host:port` as it stands in a CONNECT request. */
export function parseAuthority(text: string): { host: string; port: number } | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:@/?#[\]\\]+):(\d{1,5})$/.exec(text);
  const host = normalizeHost(match?.[1] ?? "");
  const port = Number(match?.[2]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function parseRule(text: string, field: string): EgressRule {
  const expected = '"host", "host:port", "*.domain" or "*"';
  if (typeof text !== "string" || text.length > 300) throw invalid(field, expected);
  const isBareIpv6 = isIP(text) === 6;
  const match = isBareIpv6 ? undefined : /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text);
  const place = isBareIpv6 ? text : match?.[1];
  if (place === undefined) throw invalid(field, expected);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && (port < 1 || port > 65_535)) throw invalid(field, "a port to 65535");
  const ports = port === undefined ? defaultPorts : [port];
  if (place === "*") return { text, host: "", scope: "all", ports };
  const isWide = place.startsWith("*.");
  const host = normalizeHost(isWide ? place.slice(2) : place);
  if (host === undefined || (isWide && isIP(host) !== 0)) throw invalid(field, expected);
  return { text, host, scope: isWide ? "subdomains" : "host", ports };
}

function withoutMapping(address: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (match === null) return address;
  const [high = 0, low = 0] = match.slice(1).map((part) => Number.parseInt(part, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function invalid(field: string, expected: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field} must be ${expected}.`, {
    details: { field, expected },
  });
}
