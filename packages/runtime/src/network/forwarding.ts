import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What was changed so that the host forwards packets, and how it was before. */
export interface ForwardingState {
  /** Interfaces between which the host did not forward before, by family */
  readonly uplinks: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
  /** Settings under /proc/sys to put back, with the values they had, in order */
  readonly before: readonly (readonly [name: string, value: string])[];
}

export const nothingChanged: ForwardingState = { uplinks: { ipv4: [], ipv6: [] }, before: [] };

const root = "/proc/sys/net";
const ipv4Switch = "ipv4/ip_forward";
const ipv6Switch = "ipv6/conf/all/forwarding";

export interface ForwardingOptions {
  readonly hasIpv6: boolean;
  /** Of an earlier run, when it was never put back */
  readonly earlier: ForwardingState;
  /** Called before anything is changed: what it gets must be durable when it resolves. */
  readonly save: (state: ForwardingState) => Promise<void>;
}

/**
 * Makes the host forward packets. Interfaces that were there before are remembered: between them nothing was forwarded,
 * and the rules see that it stays so.
 */
export async function enableForwarding(options: ForwardingOptions): Promise<ForwardingState> {
  const { hasIpv6, earlier, save } = options;
  const before = new Map(earlier.before);
  let { ipv4, ipv6 } = earlier.uplinks;
  const wanted: [string, string][] = [];
  const want = async (name: string, value: string): Promise<boolean> => {
    const current = await readSysctl(name);
    if (current === value) return false;
    wanted.push([name, value]);
    if (!before.has(name)) before.set(name, current);
    return true;
  };
  if (hasIpv6 && (await readSysctl(ipv6Switch)) === "0") {
    ipv6 = await interfaceNames("ipv6");
    for (const name of ipv6) {
      // A host that forwards no longer listens to its own routers, unless this is 2.
      const setting = `ipv6/conf/${name}/accept_ra`;
      if ((await readSysctl(setting)) === "1") await want(setting, "2");
    }
    await want(ipv6Switch, "1");
  }
  if (await want(ipv4Switch, "1")) ipv4 = await interfaceNames("ipv4");
  const state = { uplinks: { ipv4, ipv6 }, before: [...before] };
  if (wanted.length > 0) await save(state);
  for (const [name, value] of wanted) await writeSysctl(name, value);
  return state;
}

/** Puts back what was changed, the last change first. Interfaces that are gone are left out. */
export async function restoreForwarding(state: ForwardingState): Promise<void> {
  for (const [name, value] of state.before.toReversed()) {
    try {
      await writeSysctl(name, value);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

/** @param name path below /proc/sys/net */
export async function writeSysctl(name: string, value: string): Promise<void> {
  await writeFile(join(root, name), value);
}

/** The value without its newline, or `""` when there is no such setting. */
export async function readSysctl(name: string): Promise<string> {
  try {
    return (await readFile(join(root, name), "utf8")).trim();
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

async function interfaceNames(family: "ipv4" | "ipv6"): Promise<readonly string[]> {
  const names = await readdir(join(root, family, "conf"));
  // Names that nft would have to quote otherwise are nobody's uplinks.
  return names.filter(
    (name) => !["all", "default", "lo"].includes(name) && /^[\w.@-]+$/.test(name),
  );
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
