import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Where a worker keeps its data when nobody says otherwise. */
export function defaultHome(
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const named = env["LONGSHORE_HOME"];
  if (named !== undefined && named.trim() !== "") return resolve(named);
  return process.getuid?.() === 0
    ? "/var/lib/longshore"
    : join(homedir(), ".local", "share", "longshore");
}
