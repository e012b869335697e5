import { isIP } from "node:net";

interface HostRule {
  readonly host: string;
  /** Absent: 80 and 443 */
  readonly port: number | undefined;
}

const usualPorts: ReadonlySet<number | undefined> = new Set([undefined, 80, 443]);

/** Whether a text can stand in a list of hosts: `host`, `*.domain`, `*` or an address, each with `:port` or without. */
export function isHostRule(text: string): boolean {
  return parse(text) !== undefined;
}

/**
 * Whether all that a job's rule reaches is reached by one of the worker's, too. `*` and `*.domain` mean names and never an
 * address, since an address reaches what is private: it must be named. What cannot be understood is not covered.
 */
export function isHostCovered(wanted: string, allowed: readonly string[]): boolean {
  const job = parse(wanted);
  return job !== undefined && allowed.some((text) => covers(parse(text), job));
}

function covers(rule: HostRule | undefined, job: HostRule): boolean {
  if (rule === undefined) return false;
  const isPort = rule.port === undefined ? usualPorts.has(job.port) : rule.port === job.port;
  if (!isPort) return false;
  if (rule.host === job.host) return true;
  if (isIP(job.host) !== 0) return false;
  if (rule.host === "*") return true;
  return rule.host.startsWith("*.") && job.host !== "*" && job.host.endsWith(rule.host.slice(1));
}

function parse(text: string): HostRule | undefined {
  const lower = text.toLowerCase();
  if (isIP(lower) === 6) return { host: lower, port: undefined };
  const match = /^(\[[0-9a-f:.]+\]|\*|(?:\*\.)?[^\s*:/?#@[\]\\%]+)(?::(\d{1,5}))?$/u.exec(lower);
  const [, place, port] = match ?? [];
  if (place === undefined) return undefined;
  const host = place.startsWith("[") ? place.slice(1, -1) : place;
  if (place.startsWith("[") && isIP(host) !== 6) return undefined;
  // Some resolvers take 127.1 or 0x7f000001 for an address, and so it is no name.
  const isOddAddress = isIP(host) === 0 && /(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/.test(host);
  if (isOddAddress) return undefined;
  return { host, port: port === undefined ? undefined : Number(port) };
}
