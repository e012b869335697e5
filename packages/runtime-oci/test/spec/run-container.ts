import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { accessSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildContainerSpec } from "../../src/spec/build-container-spec.ts";
import { readHostFacts } from "../../src/spec/host-facts.ts";
import type { OciSpec } from "../../src/spec/oci-spec.ts";
import { parseRuntimeFeatures } from "../../src/spec/runtime-features.ts";
import { busyboxRoot } from "./busybox-root.ts";
import { specInput, type SpecOptions } from "./spec-input.ts";
import { tempDir } from "./temp-dir.ts";

const run = promisify(execFile);

/** Whether containers can run here: as root, with runc and busybox. With `CI=true` they must. */
export const canRun =
  process.env["CI"] === "true" ||
  (process.getuid?.() === 0 && ["/usr/sbin/runc", "/bin/busybox"].every(exists));

/** What a container's process did. */
interface ContainerRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly spec: OciSpec;
}

/** A bundle with a root filesystem of busybox, in which containers run one after the other. */
export interface Bundle extends AsyncDisposable {
  readonly path: string;
  readonly rootPath: string;
  /** Runs a shell script, or a program with arguments, as a container's process */
  run(command: string | readonly string[], options?: SpecOptions): Promise<ContainerRun>;
  /** Runs `runc`, with its state in the bundle */
  runc(args: readonly string[]): Promise<string>;
  /** Builds the input for this machine */
  input(options?: SpecOptions): Promise<ReturnType<typeof specInput>>;
}

export async function openBundle(): Promise<Bundle> {
  const directory = await tempDir();
  const id = `longshore-spec-${randomUUID()}`;
  const cgroupsPath = `/${id}`;
  const state = join(directory.path, "state");
  const rootPath = join(directory.path, "rootfs");
  await mkdir(rootPath);
  await busyboxRoot(rootPath);
  const { stdout: features } = await run("runc", ["features"]);
  const host = await readHostFacts(parseRuntimeFeatures(features));
  const input: Bundle["input"] = async (options = {}) =>
    specInput(rootPath, {
      host,
      ...options,
      input: { cgroupsPath: `${cgroupsPath}/c1`, ...options.input },
    });
  const runc: Bundle["runc"] = async (args) => {
    const { stdout } = await run("runc", ["--root", state, ...args]);
    return stdout;
  };
  return {
    path: directory.path,
    rootPath,
    input,
    runc,
    async run(command, options = {}) {
      const argv = typeof command === "string" ? ["/bin/sh", "-c", command] : command;
      const spec = await buildContainerSpec(
        await input({ ...options, process: { argv, ...options.process } }),
      );
      await writeFile(join(directory.path, "config.json"), JSON.stringify(spec));
      const child = spawn("runc", ["--root", state, "run", "-b", directory.path, id], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", resolve);
      });
      const [code, stdout, stderr] = await Promise.all([
        ended,
        buffer(child.stdout),
        buffer(child.stderr),
      ]);
      await runc(["delete", "--force", id]);
      return { code, stdout: stdout.toString(), stderr: stderr.toString(), spec };
    },
    [Symbol.asyncDispose]: async () => {
      await removeCgroups(id);
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** runc removes a container's cgroups, but not those above. */
async function removeCgroups(name: string): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  for (const line of mounts.split("\n")) {
    const [, mountPoint, filesystem = ""] = line.split(" ");
    if (mountPoint === undefined || !filesystem.startsWith("cgroup")) continue;
    const path = join(mountPoint, name);
    if (exists(path)) await rmdir(path);
  }
}

function exists(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
