import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { findCgroups, findEntries, findLoopDevices, findMounts } from "./file-leaks.ts";
import type { Leak, LeakScope } from "./leak.ts";
import { findLinks, findRules } from "./network-leaks.ts";
import { findHeldNamespaces, findProcesses } from "./process-leaks.ts";

export interface LeakCheckerOptions {
  /**
   * Parts of names and paths of cgroups, mounts and nft tables that count. Where several tests run at once, name what only
   * this one's have: the default is for a machine of one's own. @default ["longshore"]
   */
  readonly marks?: readonly string[] | undefined;
  /** Directories: mounts below them count, and processes that work there or name them. @default [] */
  readonly roots?: readonly string[] | undefined;
  /** Beginnings of names of network interfaces that count. @default ["longshore"] */
  readonly linkPrefixes?: readonly string[] | undefined;
  /** Directories in which no new entry may be. @default [] */
  readonly directories?: readonly string[] | undefined;
  /** Process whose descendants count. @default this one */
  readonly ancestorPid?: number | undefined;
  /** Time that what is being cleared away has, in milliseconds. @default 10_000 */
  readonly settleMs?: number | undefined;
}

/** Knows what there was when it was made. */
export interface LeakChecker {
  /** What is new and stays: empty as soon as nothing is. Waits no longer than `settleMs` */
  leaks(): Promise<readonly Leak[]>;
  /**
   * Waits until nothing is new.
   *
   * @throws {Error} that names each thing that is new and stays
   */
  check(): Promise<void>;
}

const roundMs = 50;
const tokenName = "LONGSHORE_LEAK_TOKEN";

/**
 * Takes note of processes, mounts, network namespaces and interfaces, nft rules, cgroups, loop devices and files, to tell
 * later what of one's own was left behind. Linux only, and complete as root only.
 *
 * Processes that this one starts are known by a variable that it puts into its own environment, so also those that left
 * their parent; those with an environment of their own are known by their cgroup, or by a root. What other programs do
 * meanwhile does not count, unless it fits the marks.
 */
export async function leakChecker(options: LeakCheckerOptions = {}): Promise<LeakChecker> {
  const { settleMs = 10_000 } = options;
  const token = (process.env[tokenName] ??= randomUUID());
  const scope: LeakScope = {
    marks: options.marks ?? ["longshore"],
    roots: options.roots ?? [],
    linkPrefixes: options.linkPrefixes ?? ["longshore"],
    directories: options.directories ?? [],
    ancestorPid: options.ancestorPid ?? process.pid,
    token: `${tokenName}=${token}`,
  };
  const before = new Set((await look(scope)).map(keyOf));
  const findNew = async (): Promise<readonly Leak[]> =>
    (await look(scope)).filter((leak) => !before.has(keyOf(leak)));

  async function leaks(): Promise<readonly Leak[]> {
    const endMs = performance.now() + settleMs;
    for (;;) {
      const found = await findNew();
      if (found.length === 0 || performance.now() > endMs) return found;
      await delay(roundMs);
    }
  }

  return {
    leaks,
    async check() {
      const found = await leaks();
      if (found.length === 0) return;
      const lines = found.map(({ kind, text }) => `  ${kind} ${text}`);
      throw new Error(`left behind:\n${lines.join("\n")}`);
    },
  };
}

async function look(scope: LeakScope): Promise<readonly Leak[]> {
  // One after the other: nft, while it lists rules, is a process itself.
  const rules = await findRules(scope);
  const others = await Promise.all(
    [
      findProcesses,
      findHeldNamespaces,
      findMounts,
      findLinks,
      findCgroups,
      findLoopDevices,
      findEntries,
    ].map((find) => find(scope)),
  );
  return [...rules, ...others.flat()];
}

function keyOf({ kind, id }: Leak): string {
  return `${kind} ${id}`;
}
