import { execFile } from "node:child_process";
import { mkdtemp, open, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DiskReader } from "../examples/handler-plugin/src/disk-reader.ts";

const run = promisify(execFile);

export interface TempDirectory extends AsyncDisposable {
  readonly path: string;
  at(name: string): string;
}

export async function tempDirectory(): Promise<TempDirectory> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "longshore-disk-test-")));
  return {
    path,
    at: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Runs a system tool, also one that lies where only root looks. */
export async function tool(command: string, ...args: readonly string[]): Promise<string> {
  const env = { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, LC_ALL: "C" };
  return (await run(command, args, { env, timeout: 60_000 })).stdout;
}

export async function emptyFile(path: string, size: number): Promise<void> {
  await writeFile(path, "");
  await truncate(path, size);
}

/** Writes bytes into the middle of a file. */
export async function patch(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

/** A disk in memory. */
export function bufferDisk(content: Buffer): DiskReader {
  return {
    size: content.length,
    async read(offset, length) {
      if (offset < 0 || offset + length > content.length) {
        throw Object.assign(new Error("outside of the disk"), {
          code: "DISK_UNREADABLE",
          retryable: false,
        });
      }
      return Buffer.from(content.subarray(offset, offset + length));
    },
  };
}
