import { writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Abortable, AttachSession, DriverContainer } from "@longshore/core";
import { cgroupDirectories } from "../cgroup/hierarchies.ts";
import { connectMonitor, launchMonitor, monitorSocket } from "../monitor/launch-monitor.ts";
import { runtimeCommand, runtimeError } from "../runtime/run-runtime.ts";
import { lendNetwork, networkOptions } from "../sandbox/lend-network.ts";
import { isRootless, runtimeState, type SandboxContext } from "../sandbox/sandbox-context.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import { checkRootfs } from "./check-container.ts";
import { containerCgroup, plainRoot, type ContainerContext } from "./container-context.ts";
import { writeContainerRecord } from "./container-record.ts";
import { containerSpec } from "./container-spec.ts";
import { controlMonitor } from "./control-monitor.ts";
import { driverContainer } from "./driver-container.ts";
import { openSession } from "./open-session.ts";
import { removeContainer } from "./remove-container.ts";
import { makeSharedRoot } from "./shared-roots.ts";
import { wantedStreams } from "./wanted-streams.ts";

/**
 * Makes a container and starts its process. When it rejects or is aborted, nothing of it stays.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `RUNTIME_NOT_SUPPORTED` for settings that cannot be honoured,
 *   `EXECUTION_ERROR` with the OCI runtime's words when the process cannot be started
 */
export async function startContainer(
  context: ContainerContext,
  { signal }: Abortable = {},
): Promise<DriverContainer> {
  const { sandbox, spec, directory } = context;
  signal?.throwIfAborted();
  checkRootfs(spec.rootfs);
  const wanted = (spec.attach ?? []).map((request) => wantedStreams(spec.process, request));
  writeContainerRecord(sandbox.spec.directory, spec);
  // A root filesystem that need not be mounted can be looked at while the monitor starts.
  const { rootPath } = context;
  const early = context.isMounted ? undefined : containerSpec(context, { rootPath });
  early?.catch(() => undefined);
  try {
    if (context.users !== undefined) {
      await makeSharedRoot(spec.id, context.users);
      await showCgroups(sandbox);
    }
    if (sandbox.runtime.kind.hasOwnKernel) await lendNetwork(sandbox);
    const orders = await launchMonitor(sandbox.runtime.helper, {
      directory,
      settings: monitorSettings(context),
      runtime: [
        ...runtimeCommand(sandbox.runtime, runtimeState(sandbox)),
        ...networkOptions(sandbox),
      ],
      sessions: wanted.length,
    });
    const monitor = controlMonitor(orders, directory);
    const sessions: AttachSession[] = [];
    try {
      const accounts = await monitor.mounted;
      signal?.throwIfAborted();
      // They see the process from its first byte on: the monitor waits for them.
      for (const streams of wanted) {
        const socket = await connectMonitor(directory, monitorSocket);
        sessions.push(openSession(context, socket, streams));
      }
      const ociSpec = await (early ?? containerSpec(context, { rootPath, accounts }));
      // Into memory.
      writeFileSync(join(directory, "config.json"), JSON.stringify(ociSpec), {
        mode: 0o600,
      });
      monitor.connection.send("g");
      const pid = await untilStarted(monitor.started, signal);
      sandbox.pids.set(spec.id, pid);
      return driverContainer(context, { monitor, sessions, user: processUser(ociSpec) });
    } catch (error) {
      await Promise.all(sessions.map(async (session) => session[Symbol.asyncDispose]()));
      await monitor.stop();
      throw error;
    }
  } catch (error) {
    await removeContainer(context);
    throw error;
  }
}

async function untilStarted(
  started: Promise<number | { readonly failure: string }>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  aborted.promise.catch(() => undefined);
  try {
    const outcome = await Promise.race([started, aborted.promise]);
    if (typeof outcome === "number") return outcome;
    throw runtimeError("Starting the container", outcome.failure);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Identity of the first process, as the specification says it. */
export function processUser({ process: { user } }: Pick<OciSpec, "process">): {
  readonly uid: number;
  readonly gid: number;
  readonly supplementalGroups: readonly number[];
} {
  const { uid, gid, additionalGids } = user;
  return { uid, gid, supplementalGroups: [...new Set([gid, ...additionalGids])] };
}

function monitorSettings(context: ContainerContext): Record<string, string | number | undefined> {
  const { sandbox, spec, cgroup } = context;
  const { hierarchies, hidesUnified, kind } = sandbox.runtime;
  const { log } = spec;
  const oomFile = hierarchies?.version === 2 ? "memory.events" : "memory.oom_control";
  const memory = containerCgroup(context, "memory");
  return {
    id: spec.id,
    path: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    perl: sandbox.runtime.perl,
    mapped: context.users === undefined ? undefined : 1,
    tty: spec.process.tty ? 1 : 0,
    input: spec.process.stdin ? 1 : 0,
    inputOnce: spec.config.stdinOnce === true ? 1 : 0,
    log: log?.path,
    logBytes: log?.maxBytes ?? 0,
    // Beside the present one.
    oldLogs: Math.max(0, (log?.maxFiles ?? 2) - 1),
    tree: cgroup === undefined ? undefined : containerCgroup(context, "freezer"),
    oom: memory && join(memory, oomFile),
    ...execSettings(context),
    hideUnified: hidesUnified ? 1 : 0,
    ownKernel: kind.hasOwnKernel ? 1 : undefined,
    ...(isRootless(sandbox.runtime) && { users: join(sandbox.spec.directory, "ns", "user") }),
    ...(context.isMounted && rootMount(context)),
  };
}

/** Lets users of other namespaces pass through cgroups that were made for the host's root alone. */
async function showCgroups({ runtime: { hierarchies }, cgroup }: SandboxContext): Promise<void> {
  if (hierarchies === undefined || cgroup === undefined) return;
  const directories = [dirname(cgroup), cgroup].flatMap((path) =>
    cgroupDirectories(hierarchies, path),
  );
  // What is not there yet is made so that they can.
  await Promise.all(directories.map(async (path) => chmod(path, 0o755).catch(() => undefined)));
}

/** What the monitor mounts as the root filesystem. */
function rootMount({ spec: { rootfs }, rootPath }: ContainerContext): Record<string, string> {
  const plain = plainRoot(rootfs);
  if (plain !== undefined) return { overlay: rootPath, bind: plain };
  if (rootfs.kind !== "overlay") return {};
  return {
    overlay: rootPath,
    lower: Buffer.from(rootfs.lower.join("\0")).toString("hex"),
    upper: rootfs.upper?.upperDir ?? "",
    work: rootfs.upper?.workDir ?? "",
  };
}

/** How an executed process gets a cgroup of its own, by which it is killed with all that it started. */
function execSettings(context: ContainerContext): Record<string, string | number | undefined> {
  const { hierarchies, kind } = context.sandbox.runtime;
  if (hierarchies === undefined || kind.execCgroups === "none") return {};
  if (hierarchies.version === 2) {
    return { execTree: containerCgroup(context, "freezer"), execCgroup: "/" };
  }
  if (kind.execCgroups === "inherited") {
    return { execTree: containerCgroup(context, "unified"), execJoins: 1 };
  }
  // It names the one hierarchy of version 1 that the processes are killed by.
  return { execTree: containerCgroup(context, "freezer"), execCgroup: "freezer:/" };
}
