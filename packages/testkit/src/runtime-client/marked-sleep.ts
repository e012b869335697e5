import { randomInt } from "node:crypto";

/** Seconds that nobody else sleeps: they tell a case's processes from others. */
export function randomSeconds(): string {
  return String(randomInt(100_000, 999_999));
}

/** A script that prints how many processes sleep for these seconds. Zombies have no command line, so they do not count. */
export function countSleeps(seconds: string): string {
  return `n=0; for f in /proc/[0-9]*/cmdline; do
    if tr '\\0' ' ' < $f 2>/dev/null | grep -q "^sleep ${seconds} "; then n=$((n+1)); fi; done; echo $n`;
}
