import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasCode, LongshoreError } from "@longshore/core";

/** What was changed so that the host forwards packets, and how it was before. */
export interface ForwardingState {
  /** Interfaces between which the host did not forward before, by family */
  readonly uplinks: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
  /** Settings under /proc/sys/net to put back, with the values they had, in order */
  readonly before: readonly (readonly [name: string, value: string])[];
}

const nothingChanged: ForwardingState = { uplinks: { ipv4: [], ipv6: [] }, before: [] };

const root = "/proc/sys/net";
const ipv4Switch = "ipv4/ip_forward";
const ipv6Switch = "ipv6/conf/all/forwarding";
/** Of all networks of this host together. Like the settings themselves it is gone after a reboot. */
const stateFile = "/run/longshore/forwarding.json";

/**
 * Makes the host forward packets. Interfaces that were there before are remembered: between them nothing was forwarded,
 * and the rules see that it stays so. The caller holds the host's lock.
 */
export async function enableForwarding(families: { hasIpv6: boolean }): Promise<ForwardingState> {
  const earlier = await readState();
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
  if (families.hasIpv6 && (await readSysctl(ipv6Switch)) === "0") {
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
  if (wanted.length > 0) await writeState(state);
  for (const [name, value] of wanted) await writeSysctl(name, value);
  return state;
}

/**
 * Puts back what was changed, the last change first. Interfaces that are gone are left out. The caller holds the host's
 * lock and knows that no network is left.
 */
export async function restoreForwarding(): Promise<void> {
  for (const [name, value] of (await readState()).before.toReversed()) {
    try {
      await writeSysctl(name, value);
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
  }
  await rm(stateFile, { force: true });
}

async function readState(): Promise<ForwardingState> {
  try {
    return JSON.parse(await readFile(stateFile, "utf8")) as ForwardingState;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return nothingChanged;
    throw new LongshoreError("IO_ERROR", `${stateFile} cannot be read.`, { cause: error });
  }
}

async function writeState(state: ForwardingState): Promise<void> {
  await mkdir(dirname(stateFile), { recursive: true, mode: 0o755 });
  await writeFile(`${stateFile}.new`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${stateFile}.new`, stateFile);
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
    if (hasCode(error, "ENOENT")) return "";
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
