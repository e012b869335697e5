import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "../mount/blob-reader.ts";
import { holdBlobs } from "../mount/local-blob-reader.ts";
import { mountProgram, unmountProgram } from "../mount/mount-programs.ts";
import { mountedAt, mountPath } from "../mount/mounted-at.ts";
import { findPerl, perlArguments, runPerl } from "../mount/perl.ts";
import { unmount } from "../mount/unmount.ts";
import { atExit } from "./at-exit.ts";
import { startFuseThreads } from "./fuse-threads.ts";
import type { FilesystemSource } from "./filesystem-source.ts";
import { maxReadBytes } from "./fuse-protocol.ts";

/** Something went wrong while a file was read: its reader got EIO. */
export interface FuseReadError {
  /** Inode number, as `stat` shows it */
  readonly nid: number;
  readonly error: unknown;
}

export interface MountFuseOptions extends Abortable {
  readonly filesystem: FilesystemSource;
  /** Directory of uncompressed blobs on this machine, or a reader that fetches them */
  readonly blobs: string | BlobReader;
  /**
   * Files of local blobs by id, which stay readable when they are deleted while the mount lasts, and may lie elsewhere than in
   * the directory
   */
  readonly heldBlobs?: ReadonlyMap<string, string> | undefined;
  /** Existing directory */
  readonly target: string;
  /** What `/proc/mounts` shows as its source. @default {@link fuseMountName} */
  readonly name?: string | undefined;
  /** Requests answered at the same time; each has a thread. @default 2, or 1 on a single processor */
  readonly threads?: number | undefined;
  /** Reads from a reader that are under way at once, each with a buffer of up to 1 MiB. @default 32 */
  readonly concurrency?: number | undefined;
  readonly onReadError?: ((failure: FuseReadError) => void) | undefined;
}

/** A mounted image. Disposing unmounts it: whoever still has a file of it open gets errors. */
export interface FuseMount extends AsyncDisposable {
  readonly target: string;
  /** Resolves when nothing is served any more, also after somebody else unmounted it; rejects when the server broke. */
  readonly closed: Promise<void>;
}

/** What `/proc/mounts` shows as the source of a mounted image. */
export const fuseMountName = "longshore";

/** Read-only, no device nodes. */
const mountFlags = 1 | 4;
const readAheadKilobytes = "1024";

/**
 * Mounts an image by answering the kernel's questions about it from threads of this process. Needs root and `/dev/fuse`.
 * Other users may read it as the modes of its files say. When the process is killed, the mount stays as a dead one, whose
 * files give ENOTCONN, until it is unmounted.
 *
 * The mount keeps the process alive; an orderly exit of the process unmounts it. With a reader for `blobs`, the thread that
 * mounted must not read from the mount synchronously: it would wait for itself.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when it cannot be done here; `IO_ERROR`; what opening the filesystem
 *   throws. Nothing stays mounted then.
 */
export async function mountFuse(options: MountFuseOptions): Promise<FuseMount> {
  const { signal, name = fuseMountName, blobs, heldBlobs = new Map() } = options;
  signal?.throwIfAborted();
  const path = await mountPath(options.target);
  // The way out of an exit that cannot wait: found now, because finding takes a turn.
  const perl = await findPerl();
  const device = openDevice();
  const held = holdBlobs(heldBlobs);
  const threads = startFuseThreads({
    device,
    filesystem: options.filesystem,
    blobs,
    heldBlobs: held.files,
    threads: options.threads ?? Math.min(2, availableParallelism()),
    concurrency: options.concurrency,
    onReadError: options.onReadError ?? (() => undefined),
  });
  const unmountAtExit = (): void => {
    // Threads that wait for the kernel cannot be stopped, and the process waits for its threads.
    spawnSync(perl, perlArguments(unmountProgram, ["force", path]), { stdio: "ignore" });
  };
  let forgetExit = (): void => undefined;
  const closed = threads.ended.finally(() => {
    forgetExit();
    closeSync(device);
    held[Symbol.dispose]();
  });
  // Also without anyone waiting for it, the end of a mount is no unhandled rejection.
  closed.catch(() => undefined);

  let isMountTried = false;
  const stop = async (): Promise<void> => {
    if (isMountTried) await unmount(path, { how: "force" });
    threads.dismiss();
    await closed.catch(() => undefined);
  };
  // With too few threads, or none, whoever touches the mount would wait for ever.
  threads.broken.catch(async () => {
    if (isMountTried) await unmount(path, { how: "force" }).catch(() => undefined);
    threads.dismiss();
  });
  try {
    await untilAborted(threads.loaded, signal);
    forgetExit = atExit(unmountAtExit);
    isMountTried = true;
    await runPerl(mountProgram, [name, path, "fuse", String(mountFlags), mountData()], {
      what: `mount ${path}`,
      inherit: device,
      signal,
    });
    threads.serve();
    await untilAborted(threads.ready, signal);
    await raiseReadAhead(path);
  } catch (error) {
    await stop();
    throw error;
  }
  return { target: path, closed, [Symbol.asyncDispose]: stop };
}

function openDevice(): number {
  const uid = process.getuid?.();
  if (uid !== 0) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "Mounting through FUSE needs root; without it, images can be extracted into a directory.",
      { details: { uid } },
    );
  }
  try {
    return openSync("/dev/fuse", constants.O_RDWR);
  } catch (cause) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "/dev/fuse cannot be opened; load the kernel's fuse module, or give the container the device.",
      { cause, details: { device: "/dev/fuse" } },
    );
  }
}

function mountData(): string {
  return [
    "fd=3",
    "rootmode=40000",
    "user_id=0",
    "group_id=0",
    "allow_other",
    "default_permissions",
    `max_read=${maxReadBytes}`,
  ].join(",");
}

/** The kernel starts with 128 KiB, which would cut reads of whole chunks into eight. It is a wish: no error if it fails. */
async function raiseReadAhead(path: string): Promise<void> {
  const mount = await mountedAt(path);
  if (mount?.type !== "fuse") return;
  await writeFile(`/sys/class/bdi/${mount.device}/read_ahead_kb`, readAheadKilobytes).catch(
    () => undefined,
  );
}

async function untilAborted(wait: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return wait;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([wait, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    // Nobody listens any more when the wait itself ends later.
    wait.catch(() => undefined);
  }
}
