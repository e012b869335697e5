import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverCapability, SandboxDriver } from "@longshore/core";
import { driverLife } from "./runtime/driver-life.ts";
import { findRuntime, openRuntime } from "./runtime/find-runtime.ts";
import { probeRuntime } from "./runtime/probe-runtime.ts";
import type { RuntimeContext } from "./runtime/runtime-context.ts";
import type { RuntimeKind } from "./runtime/runtime-kind.ts";
import { prepareSandbox } from "./sandbox/prepare-sandbox.ts";
import { recoverSandboxes } from "./sandbox/recover-sandboxes.ts";

export interface OciDriverOptions {
  /** An OCI runtime by name or path; what it is is known by the file's name. @default "runc" */
  readonly binary?: string | undefined;
  /** The handler it answers to. @default the runtime's name */
  readonly name?: string | undefined;
  /**
   * Where it notes what it holds, for one program at a time. It is of no use after a restart of the machine.
   *
   * @default a directory below `/run/longshore`, or for others than root below `$XDG_RUNTIME_DIR`
   */
  readonly stateDirectory?: string | undefined;
}

/** Limits and pausing need cgroups, which only root may use here. A kernel of a container's own keeps the size it was made with. */
function driverCapabilities({ hasOwnKernel }: RuntimeKind): ReadonlySet<DriverCapability> {
  if (process.geteuid?.() !== 0) return new Set(["survivesRestart"]);
  if (hasOwnKernel) return new Set(["pause", "loopback", "survivesRestart"]);
  return new Set(["updateResources", "pause", "loopback", "survivesRestart"]);
}

/**
 * Runs containers through an OCI runtime: on the host's kernel, or with runsc each on its own. Needs Linux and Perl (`perl-base`).
 *
 * Disposing only lets go of the sandboxes, whose ends are then no longer learned here: tear them down, or take them over later by `recover`.
 */
export function ociDriver(options: OciDriverOptions = {}): SandboxDriver {
  const { binary = "runc" } = options;
  const { kind } = findRuntime(binary);
  const name = options.name ?? kind.name;
  const stateDirectory = options.stateDirectory ?? defaultStateDirectory(name);
  const life = driverLife();
  let opening: Promise<RuntimeContext> | undefined;

  const open = async (): Promise<RuntimeContext> => {
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    return openRuntime({ binary, name, stateDirectory, life });
  };
  const context = async (): Promise<RuntimeContext> => {
    opening ??= open();
    try {
      return await opening;
    } catch (error) {
      // What was missing may be installed meanwhile.
      opening = undefined;
      throw error;
    }
  };
  return {
    name,
    capabilities: driverCapabilities(kind),
    async probe(probeOptions) {
      const found = await probeRuntime(binary, probeOptions);
      const { available, version = "", reason, fix } = found;
      if (!available) return { isAvailable: false, reason, fix };
      const { userNamespaces = false, recursiveReadOnlyMounts = false } = found;
      return { isAvailable: true, version, features: { userNamespaces, recursiveReadOnlyMounts } };
    },
    async prepare(spec, prepareOptions) {
      return prepareSandbox(await context(), spec, prepareOptions);
    },
    async recover(known, recoverOptions) {
      recoverOptions?.signal?.throwIfAborted();
      return recoverSandboxes(await context(), known, recoverOptions);
    },
    async [Symbol.asyncDispose]() {
      life.end();
    },
  };
}

function defaultStateDirectory(name: string): string {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) return join("/run/longshore/oci", name);
  const base = process.env["XDG_RUNTIME_DIR"] ?? join(tmpdir(), `longshore-${uid}`);
  return join(base, "longshore-oci", name);
}
