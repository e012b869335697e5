import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findCommand } from "@longshore/core";
import { run } from "./run.ts";

const execute = promisify(execFile);

/** The same by an OCI runtime alone: a directory, no image store, nobody who remembers. */
export interface RuntimePeer extends AsyncDisposable {
  /** Runs `true` in a container of its own, to its end */
  runTrue(): Promise<void>;
  /** Runs `true` in a container that is there already, to its end */
  execTrue(): Promise<void>;
}

export interface RuntimePeerOptions {
  readonly directory: string;
  /** Directory with a BusyBox */
  readonly root: string;
  readonly runtime: OciRuntime;
}

export type OciRuntime = "runc" | "crun";

export async function startRuntime(options: RuntimePeerOptions): Promise<RuntimePeer> {
  const { directory, root, runtime } = options;
  await mkdir(directory, { recursive: true });
  const place = runtime === "crun" ? await withoutUnified() : undefined;
  const [program, ...before] = [...(place?.command ?? []), runtime];
  const global = [...before, "--root", join(directory, "state")];
  const id = (name: string): string => `longshore-bench-${process.pid}-${name}`;
  const bundle = async (name: string, args: readonly string[]): Promise<string> => {
    const path = join(directory, name);
    await mkdir(path, { recursive: true });
    await execute(runtime, ["spec"], { cwd: path });
    const file = join(path, "config.json");
    const spec = JSON.parse(await readFile(file, "utf8")) as {
      process: { readonly rlimits?: unknown };
      linux: object;
    };
    const { rlimits: _, ...process } = spec.process;
    const wanted = { ...process, args, terminal: false, env: ["PATH=/bin"] };
    const changed = { ...spec, process: wanted, root: { path: root, readonly: true } };
    await writeFile(file, JSON.stringify(changed));
    return path;
  };
  const short = await bundle("short", ["true"]);
  const long = await bundle("long", ["sleep", "3600"]);
  let count = 0;
  const running = id("long");
  // The container's process would keep a pipe open: its output goes nowhere.
  await startDetached(program, [...global, "run", "--detach", "--bundle", long, running]);
  return {
    async runTrue() {
      await run(program, ...global, "run", "--bundle", short, id(String((count += 1))));
    },
    async execTrue() {
      await run(program, ...global, "exec", running, "true");
    },
    async [Symbol.asyncDispose]() {
      await run(program, ...global, "delete", "--force", running);
      place?.[Symbol.dispose]();
    },
  };
}

/** A mount namespace without version 2 of cgroups beside version 1, where crun refuses to work. */
async function withoutUnified(): Promise<
  (Disposable & { readonly command: readonly string[] }) | undefined
> {
  if (!existsSync("/sys/fs/cgroup/unified")) return undefined;
  const script = "umount /sys/fs/cgroup/unified && echo ready && exec cat >/dev/null";
  const holder = spawn("unshare", ["--mount", "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  return {
    command: ["nsenter", `--mount=/proc/${holder.pid}/ns/mnt`],
    [Symbol.dispose]: () => void holder.stdin.end(),
  };
}

async function startDetached(program: string, args: readonly string[]): Promise<void> {
  await execute("sh", ["-c", 'exec "$@" >/dev/null 2>&1 </dev/null', "sh", program, ...args]);
}

/** The same by Podman with an image store of its own. */
export interface PodmanPeer extends AsyncDisposable {
  runTrue(): Promise<void>;
}

/** @returns `undefined` when Podman is not installed */
export async function startPodman(
  directory: string,
  image: string,
): Promise<PodmanPeer | undefined> {
  if ((await findCommand("podman", process.env["PATH"] ?? "")) === undefined) return undefined;
  const place = (name: string): string => join(directory, name);
  const runc = await findCommand("runc", `${process.env["PATH"] ?? ""}:/usr/sbin`);
  const places = ["--root", place("root"), "--runroot", place("run"), "--tmpdir", place("tmp")];
  const ways = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"];
  const global = [...places, ...ways, "--runtime", runc ?? "runc"];
  const name = "localhost/bench/busybox:latest";
  const archive = place("busybox.tar");
  await mkdir(directory);
  await run("skopeo", "copy", "--quiet", image, `docker-archive:${archive}:${name}`);
  await run("podman", ...global, "load", "--quiet", "--input", archive);
  // What it asks for by default is more than a limited root may give.
  const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
  const container = ["run", "--rm", "--network", "none", ...limits, name, "true"];
  return {
    async runTrue() {
      await run("podman", ...global, ...container);
    },
    async [Symbol.asyncDispose]() {
      await run("podman", ...global, "rm", "--all", "--force");
    },
  };
}
