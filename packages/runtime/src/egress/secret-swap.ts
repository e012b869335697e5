import { LongshoreError, type EgressSecret } from "@longshore/core";
import { findRule, parseEgressRules, type EgressRule } from "./egress-rules.ts";

/** Puts secrets in the place of their placeholders. */
export interface SecretSwap {
  /** Whether requests to a host over TLS may carry secrets */
  hasSecretsFor(host: string, port: number): boolean;
  /**
   * Header names and values, one after the other, with the secrets for a host in them. Undefined when they hold a
   * placeholder that is not meant for it.
   */
  swap(target: SwapTarget, headers: readonly string[]): readonly string[] | undefined;
  /** Whether a text may be sent to a host: it holds no placeholder that is meant for others only. */
  allows(target: SwapTarget, text: string): boolean;
}

interface SwapTarget {
  readonly host: string;
  readonly port: number;
  /** Secrets never leave in clear text */
  readonly isSecure: boolean;
}

interface Secret {
  readonly placeholder: string;
  readonly value: string;
  readonly rules: readonly EgressRule[];
}

const maxSecrets = 100;

/** @throws {LongshoreError} `VALIDATION_ERROR`, never with a secret in it */
export function secretSwap(
  secrets: readonly EgressSecret[],
  allow: readonly EgressRule[],
): SecretSwap {
  if (secrets.length > maxSecrets) throw invalid("egress.secrets", `at most ${maxSecrets} secrets`);
  const list = secrets.map((secret, index) =>
    parseSecret(secret, allow, `egress.secrets[${index}]`),
  );
  for (const [index, { placeholder }] of list.entries()) {
    const isPart = list.some(
      (other, at) => at !== index && other.placeholder.includes(placeholder),
    );
    if (isPart) throw invalid(`egress.secrets[${index}].placeholder`, "no part of another's");
  }
  const fits = (secret: Secret, host: string, port: number): boolean =>
    findRule(secret.rules, host, port) !== undefined;
  const mentions = (text: string): boolean =>
    list.some(({ placeholder }) => text.includes(placeholder));

  const swapText = (target: SwapTarget, text: string): string | undefined => {
    let result = text;
    for (const secret of list) {
      if (!text.includes(secret.placeholder)) continue;
      if (!target.isSecure || !fits(secret, target.host, target.port)) return undefined;
      result = result.replaceAll(secret.placeholder, () => secret.value);
    }
    return result;
  };
  const swapValue = (target: SwapTarget, value: string): string | undefined => {
    const basic = /^(basic\s+)([A-Za-z0-9+/_=-]+)\s*$/i.exec(value);
    if (basic === null) return swapText(target, value);
    const clear = Buffer.from(basic[2] ?? "", "base64").toString("latin1");
    if (!mentions(clear)) return swapText(target, value);
    const swapped = swapText(target, clear);
    if (swapped === undefined) return undefined;
    return `${basic[1] ?? ""}${Buffer.from(swapped, "latin1").toString("base64")}`;
  };

  return {
    allows: (target, text) => swapText(target, text) !== undefined,
    hasSecretsFor: (host, port) => port !== 80 && list.some((secret) => fits(secret, host, port)),
    swap(target, headers) {
      if (list.length === 0) return headers;
      const result: string[] = [];
      for (let index = 0; index < headers.length; index += 2) {
        const name = headers[index] ?? "";
        const value = swapValue(target, headers[index + 1] ?? "");
        if (value === undefined || mentions(name)) return undefined;
        result.push(name, value);
      }
      return result;
    },
  };
}

function parseSecret(secret: EgressSecret, allow: readonly EgressRule[], field: string): Secret {
  const { placeholder, value, hosts } = secret;
  if (typeof placeholder !== "string" || !/^[A-Za-z0-9_.~-]{16,256}$/.test(placeholder)) {
    throw invalid(`${field}.placeholder`, "16 to 256 letters, digits, _ . ~ and -");
  }
  // What a header may hold, RFC 9110 §5.5.
  const isHeaderValue =
    typeof value === "string" && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value);
  if (!isHeaderValue || value.length > 8_192) {
    throw invalid(`${field}.value`, "1 to 8192 printable ASCII characters");
  }
  if (value.includes(placeholder)) throw invalid(`${field}.value`, "free of its placeholder");
  if (hosts.length === 0) throw invalid(`${field}.hosts`, "at least one host");
  const rules = parseEgressRules(hosts, `${field}.hosts`);
  for (const [index, rule] of rules.entries()) {
    if (rule.ports.some((port) => isCovered(rule, port, allow))) continue;
    throw invalid(`${field}.hosts[${index}]`, "a host that egress.allow allows");
  }
  return { placeholder, value, rules };
}

function isCovered(rule: EgressRule, port: number, allow: readonly EgressRule[]): boolean {
  if (rule.scope === "host") return findRule(allow, rule.host, port) !== undefined;
  return allow.some(({ scope, host, ports }) => {
    if (!ports.includes(port)) return false;
    if (scope === "all") return true;
    const isBelow = host === rule.host || rule.host.endsWith(`.${host}`);
    return scope === "subdomains" && rule.scope === "subdomains" && isBelow;
  });
}

function invalid(field: string, expected: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field} must be ${expected}.`, {
    details: { field, expected },
  });
}
