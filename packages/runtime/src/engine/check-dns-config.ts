import { isIP } from "node:net";
import type { DnsConfig } from "@longshore/core";
import { checkText, invalid } from "./check-fields.ts";

/** Kubernetes allows 32 search domains; no resolver reads more servers or options. */
const maxEntries = 32;
/** Of a domain name as text, RFC 1035 §3.1, with the dot at its end. */
const maxNameLength = 254;

/**
 * Checks what becomes lines of `resolv.conf`: each entry must be one word of its line.
 *
 * @see https://man7.org/linux/man-pages/man5/resolv.conf.5.html
 * @throws {LongshoreError} `VALIDATION_ERROR` with the field
 */
export function checkDnsConfig(field: string, config: DnsConfig | undefined): void {
  if (config === undefined) return;
  if (typeof config !== "object" || config === null) throw invalid(field, "must be an object.");
  checkEntries(`${field}.servers`, config.servers, (server) => {
    if (isIP(server) === 0) return "must be IP addresses.";
    return undefined;
  });
  checkEntries(`${field}.searches`, config.searches, (name) => {
    // A single dot is the root: names are looked up as they are.
    const isName = name === "." || /^[\w-]+(\.[\w-]+)*\.?$/.test(name);
    return isName && name.length <= maxNameLength ? undefined : "must be domain names.";
  });
  checkEntries(`${field}.options`, config.options, (option) =>
    /^[A-Za-z][\w-]*(:[\w.-]*)?$/.test(option) ? undefined : "must be like ndots:5 or edns0.",
  );
}

function checkEntries(
  field: string,
  entries: readonly string[] | undefined,
  fault: (entry: string) => string | undefined,
): void {
  if (entries === undefined) return;
  if (!Array.isArray(entries)) throw invalid(field, "must be a list.");
  if (entries.length > maxEntries) throw invalid(field, `must be at most ${maxEntries}.`);
  for (const entry of entries) {
    const message = fault(checkText(field, entry, 256));
    if (message !== undefined) throw invalid(field, message);
  }
}
