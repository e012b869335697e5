import { randomInt } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

/** Seconds that nobody else sleeps: they tell a case's processes from others. */
export function randomSeconds(): string {
  return String(randomInt(100_000, 999_999));
}

/** A script that prints how many processes sleep for these seconds. Zombies have no command line, so they do not count. */
export function countSleeps(seconds: string): string {
  return `n=0; for f in /proc/[0-9]*/cmdline; do
    if tr '\\0' ' ' < $f 2>/dev/null | grep -q "^sleep ${seconds} "; then n=$((n+1)); fi; done; echo $n`;
}

/** How many processes that this one can see sleep for these seconds; those of a virtual machine are out of sight. */
export async function hostSleeps(seconds: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    // It may have ended meanwhile.
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return commands.filter((command) => command === `sleep\0${seconds}\0`).length;
}
