import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { findCommand, type Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { awaitMountProgram, unmountProgram } from "./mount-programs.ts";
import { atExit } from "../fuse/at-exit.ts";
import { isMounted, mountPath } from "./mounted-at.ts";
import { nydusdConfigFlag, nydusdConfigPath, recordNydusd } from "./nydusd-records.ts";
import { collect, findPerl, perlArguments } from "./perl.ts";
import { unmount } from "./unmount.ts";

export interface MountNydusdOptions extends Abortable {
  /** File of the image's metadata */
  readonly bootstrap: string;
  /** Files of its blobs as Nydus has them, each named by its id; on one filesystem with `root` */
  readonly blobs: readonly string[];
  /** Existing directory */
  readonly target: string;
  /** Where the daemon gets a working directory of its own; `recoverNydusd` cleans up there after a crash */
  readonly root: string;
}

/** An image that Nydus' daemon serves. Disposing unmounts it and ends the daemon. */
export interface NydusdMount extends AsyncDisposable {
  /** Resolves when nothing is served any more, also after somebody else unmounted it; rejects when the daemon broke. */
  readonly ended: Promise<void>;
}

/** How long a daemon without its mount may take to end */
const endMs = 5_000;

/** The daemon's program. @returns its path; `undefined` when it is not installed */
export function findNydusd(): Promise<string | undefined> {
  return findCommand("nydusd", process.env["PATH"] ?? "");
}

/**
 * Mounts an image by a nydusd of its own, which ends with the mount. What is read is also kept in the daemon's working
 * directory, which it insists on, until then. When this process is killed, the daemon goes on until `recoverNydusd`.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when nydusd is not installed; `IO_ERROR` with what it said. Nothing stays
 *   then.
 */
export async function mountNydusd(options: MountNydusdOptions): Promise<NydusdMount> {
  const { signal, root } = options;
  signal?.throwIfAborted();
  const program = await findNydusd();
  if (program === undefined) {
    throw new LongshoreError("RUNTIME_NOT_SUPPORTED", "nydusd is not on the PATH.", {
      details: { missing: "nydusd" },
    });
  }
  const target = await mountPath(options.target);
  const directory = join(root, randomUUID());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let daemon: ChildProcess | undefined;
  try {
    await recordNydusd(directory, target);
    const args = await prepare(options, { directory, target });
    daemon = spawn(program, args, {
      cwd: "/",
      // Signals of a terminal are for whoever started it, who ends the daemon in order.
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", RUST_BACKTRACE: "0" },
    });
    await serve(daemon, { target, signal });
  } catch (error) {
    if (daemon !== undefined) await end(daemon, target);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
  const perl = await findPerl();
  const forgetExit = atExit(() => {
    // The daemon ends with its mount; nobody is left to wait for it.
    spawnSync(perl, perlArguments(unmountProgram, ["force", target]), { stdio: "ignore" });
  });
  return running(daemon, { directory, target, forgetExit });
}

interface Place {
  readonly directory: string;
  readonly target: string;
}

/** Writes the daemon's configuration; its files stay when the store deletes its names of them. */
async function prepare(
  { bootstrap, blobs }: MountNydusdOptions,
  { directory, target }: Place,
): Promise<string[]> {
  const [files, cache] = [join(directory, "blobs"), join(directory, "cache")];
  const [config, metadata] = [nydusdConfigPath(directory), join(directory, "bootstrap")];
  await mkdir(files);
  await mkdir(cache);
  await link(bootstrap, metadata);
  for (const blob of blobs) await link(blob, join(files, basename(blob)));
  const backend = { type: "localfs", config: { dir: files } };
  const device = { backend, cache: { type: "blobcache", config: { work_dir: cache } } };
  await writeFile(config, JSON.stringify({ device, mode: "direct", enable_xattr: true }));
  return [
    nydusdConfigFlag(directory),
    `--bootstrap=${metadata}`,
    `--mountpoint=${target}`,
    "--log-level=error",
    "--rlimit-nofile=0",
  ];
}

async function serve(
  daemon: ChildProcess,
  { target, signal }: Pick<Place, "target"> & Abortable,
): Promise<void> {
  const complaint = collect(daemon.stderr);
  await once(daemon, "spawn");
  const failed = new AbortController();
  const exited = once(daemon, "close").then(() => {
    const said = complaint().slice(-2_000).trim();
    failed.abort(
      new LongshoreError("IO_ERROR", `nydusd could not mount ${target}: ${said}`, {
        details: { exitCode: daemon.exitCode },
      }),
    );
  });
  exited.catch(() => undefined);
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  await untilMounted(target, stop);
}

async function untilMounted(target: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  // As mountinfo writes it.
  const shown = Buffer.from(target)
    .toString("latin1")
    .replaceAll(/[ \t\n\\]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const watcher = spawn(
    await findPerl(),
    perlArguments(awaitMountProgram, [Buffer.from(shown, "latin1").toString()]),
    { cwd: "/", stdio: "ignore", env: { LC_ALL: "C" } },
  );
  const onAbort = (): void => {
    watcher.kill("SIGKILL");
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await once(watcher, "close");
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  signal.throwIfAborted();
  if (await isMounted(target)) return;
  throw new LongshoreError("IO_ERROR", `${target} was unmounted at once.`);
}

/** Ends a daemon, whatever it is at. */
async function end(daemon: ChildProcess, target: string): Promise<void> {
  await unmount(target, { how: "force" });
  if (daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
  const closed = once(daemon, "close");
  daemon.kill("SIGTERM");
  const late = setTimeout(() => daemon.kill("SIGKILL"), endMs);
  await closed;
  clearTimeout(late);
}

function running(
  daemon: ChildProcess,
  { directory, target, forgetExit }: Place & { readonly forgetExit: () => void },
): NydusdMount {
  const ended = untilEnded(daemon, { directory, target }).finally(forgetExit);
  // Also without anyone waiting for it, the end of a mount is no unhandled rejection.
  ended.catch(() => undefined);
  let disposing: Promise<void> | undefined;
  return {
    ended,
    [Symbol.asyncDispose]() {
      disposing ??= end(daemon, target).then(() => ended.catch(() => undefined));
      return disposing;
    },
  };
}

async function untilEnded(daemon: ChildProcess, { directory, target }: Place): Promise<void> {
  if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, "close");
  const wasCutOff = await isMounted(target);
  if (wasCutOff) await unmount(target, { how: "force" });
  await rm(directory, { recursive: true, force: true });
  if (!wasCutOff) return;
  const { exitCode, signalCode } = daemon;
  throw new LongshoreError(
    "IO_ERROR",
    `nydusd ended with ${exitCode ?? signalCode ?? "an unknown status"} while ${target} was in use.`,
    { details: { target, exitCode, signal: signalCode } },
  );
}
