import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { runSystemCommand } from "./system-command.ts";

/** `NSFS_MAGIC` of linux/magic.h: the filesystem in which namespaces are files. */
const nsfsMagic = 0x6e736673;

/** Paths of the programs that make and remove namespaces. */
export interface NetnsPrograms {
  readonly ip: string;
  readonly unshare: string;
  readonly umount: string;
}

/**
 * Makes a network namespace that stays without a process because it is mounted on a file, and runs a batch of `ip` in it.
 *
 * @throws {LongshoreError} `IO_ERROR`; the file may then be there
 */
export async function createNetns(
  file: string,
  batch: string,
  { unshare, ip }: NetnsPrograms,
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, "", { flag: "wx", mode: 0o600 });
  await runSystemCommand([unshare, `--net=${file}`, ip, "-batch", "-"], batch);
}

/** Takes a namespace away; processes in it keep it until they end. Idempotent. */
export async function removeNetns(file: string, { umount }: NetnsPrograms): Promise<void> {
  while (await isNetns(file)) await runSystemCommand([umount, "--lazy", "--", file]);
  await rm(file, { force: true });
}

/** Whether a file is a namespace. */
export async function isNetns(file: string): Promise<boolean> {
  try {
    return (await statfs(file)).type === nsfsMagic;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
