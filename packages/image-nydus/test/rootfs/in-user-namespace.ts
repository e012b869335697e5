import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { RootfsIdMappings } from "@longshore/core";
import { toIdMap } from "../../src/mount/id-mappings.ts";

/**
 * Runs a shell script as root of a new user namespace and returns what it printed.
 *
 * @throws {Error} with what it said when it failed
 */
export async function inUserNamespace(
  { uids, gids }: RootfsIdMappings,
  directory: string,
  script: string,
): Promise<string> {
  // It waits for its maps; then it becomes the root that they give it.
  const wait = 'echo; read go; exec setpriv --reuid=0 --regid=0 --clear-groups sh -euc "$1"';
  const child = spawn("unshare", ["-U", "--keep-caps", "sh", "-c", wait, "sh", script], {
    cwd: directory,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  const complaint = text(child.stderr);
  const closed = once(child, "close");
  await Promise.race([once(child.stdout, "data"), closed]);
  if (child.exitCode === null) {
    await writeFile(`/proc/${child.pid}/uid_map`, toIdMap(uids));
    await writeFile(`/proc/${child.pid}/gid_map`, toIdMap(gids));
    child.stdin.end("go\n");
  }
  const [code] = (await closed) as [number | null];
  if (code === 0) return Buffer.concat(output).toString().trim();
  throw new Error(`the script failed with ${code}: ${await complaint}`);
}
