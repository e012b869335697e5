import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { hasCode, LongshoreError, type IdMapping, type UserNamespace } from "@longshore/core";
import { runSystemCommand } from "./system-command.ts";

/** `NSFS_MAGIC` of linux/magic.h: the filesystem in which namespaces are files. */
const nsfsMagic = 0x6e736673;

/** Paths of the programs that make and remove namespaces. */
export interface NetnsPrograms {
  readonly ip: string;
  readonly mount: string;
  readonly nsenter: string;
  readonly unshare: string;
  readonly umount: string;
}

export interface NetnsOptions {
  /** What `ip` does in it first */
  readonly batch: string;
  /** The user namespace that is to own it, which is made for it. @default this program's own */
  readonly userNamespace?: UserNamespace | undefined;
}

/**
 * Makes a network namespace that stays without a process because it is mounted on a file, and runs a batch of `ip` in it.
 *
 * @throws {LongshoreError} `IO_ERROR`; the file may then be there
 */
export async function createNetns(
  file: string,
  { batch, userNamespace }: NetnsOptions,
  programs: NetnsPrograms,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, "", { flag: "wx", mode: 0o600 });
  if (userNamespace?.mode !== "pod") {
    const { unshare, ip } = programs;
    await runSystemCommand([unshare, `--net=${file}`, ip, "-batch", "-"], batch);
    return;
  }
  await mountOwnedNetns(file, userNamespace, programs);
  await runSystemCommand([programs.nsenter, `--net=${file}`, programs.ip, "-batch", "-"], batch);
}

/** Makes a user namespace and a network namespace that belongs to it, which keeps it. */
async function mountOwnedNetns(
  file: string,
  { uids, gids }: UserNamespace,
  { unshare, mount }: NetnsPrograms,
): Promise<void> {
  const child = spawn(unshare, ["--user", "--net", "cat"], {
    cwd: "/",
    env: { LC_ALL: "C", PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const closed = once(child, "close");
  try {
    child.stdin.on("error", () => undefined);
    child.stdin.write("x");
    const [first] = (await Promise.race([
      once(child.stdout, "data"),
      closed.then(() => [undefined]),
    ])) as [Buffer | undefined];
    if (first === undefined) {
      throw new LongshoreError("IO_ERROR", "The kernel refuses to make a user namespace.", {
        details: { command: unshare },
      });
    }
    await writeFile(`/proc/${child.pid}/uid_map`, toIdMap(uids));
    await writeFile(`/proc/${child.pid}/gid_map`, toIdMap(gids));
    await runSystemCommand([mount, "--bind", `/proc/${child.pid}/ns/net`, file]);
  } finally {
    child.stdin.end();
    await closed.catch(() => undefined);
  }
}

/** As `/proc/<pid>/uid_map` takes them, see user_namespaces(7). */
function toIdMap(mappings: readonly IdMapping[]): string {
  return mappings
    .map(({ containerId, hostId, length }) => `${containerId} ${hostId} ${length}\n`)
    .join("");
}

/** Takes a namespace away; processes in it keep it until they end. Idempotent. */
export async function removeNetns(
  file: string,
  { umount }: Pick<NetnsPrograms, "umount">,
): Promise<void> {
  while (await isNetns(file)) await runSystemCommand([umount, "--lazy", "--", file]);
  await rm(file, { force: true });
}

/** Whether a file is a namespace. */
export async function isNetns(file: string): Promise<boolean> {
  try {
    return (await statfs(file)).type === nsfsMagic;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}
