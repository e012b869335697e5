import { execFile } from "node:child_process";
import { basename } from "node:path";
import { promisify } from "node:util";
import { findCommand, LongshoreError, type Abortable } from "@longshore/core";
import { findHierarchies } from "../cgroup/hierarchies.ts";
import { readHostFacts } from "../spec/host-facts.ts";
import { parseRuntimeFeatures } from "../spec/runtime-features.ts";
import { perlHelper } from "../perl/perl-helper.ts";
import { findPerl } from "../perl/perl-program.ts";
import type { DriverLife } from "./driver-life.ts";
import { networkLack, ownKernelFacts } from "./own-kernel-facts.ts";
import type { RuntimeContext } from "./runtime-context.ts";
import { runtimeKinds, type RuntimeKind } from "./runtime-kind.ts";

const run = promisify(execFile);

/** What an OCI runtime is, by the name of its file. @throws {TypeError} for one that is not known */
export function findRuntime(binary: string): { readonly kind: RuntimeKind } {
  const file = basename(binary);
  const kind = runtimeKinds.find(({ name }) => file === name || file.startsWith(`${name}-`));
  if (kind !== undefined) return { kind };
  const names = runtimeKinds.map(({ name }) => name).join(", ");
  throw new TypeError(`binary must be one of ${names}, or a path to one, got "${binary}"`);
}

export interface OpenRuntimeOptions {
  readonly binary: string;
  readonly name: string;
  readonly stateDirectory: string;
  readonly life: DriverLife;
}

/**
 * Looks for an OCI runtime and at the machine it is to run on.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when it or Perl is not installed
 */
export async function openRuntime(options: OpenRuntimeOptions): Promise<RuntimeContext> {
  const { name, stateDirectory, life } = options;
  const { kind } = findRuntime(options.binary);
  const perl = await findPerl();
  const binary = await locate(options.binary, kind);
  const hierarchies = process.geteuid?.() === 0 ? await findHierarchies() : undefined;
  if (process.geteuid?.() !== 0 && !kind.runsWithoutRoot) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `${kind.name} cannot be used without root; runc can.`,
      { details: { fix: "run the program as root, or use runc" } },
    );
  }
  if (
    kind.execCgroups === "inherited" &&
    hierarchies?.version === 1 &&
    !hierarchies.mountPoints.has("unified")
  ) {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `${kind.name} gives executed commands no cgroup of their own on a machine with only version 1.`,
      { details: { fix: "use runc, or boot with version 2 of cgroups" } },
    );
  }
  const features = kind.hasOwnKernel
    ? ""
    : await run(binary, ["features"]).then(
        ({ stdout }) => stdout,
        () => "",
      );
  const host = await readHostFacts(parseRuntimeFeatures(features));
  return {
    life,
    perl,
    helper: perlHelper({
      perl,
      // Nothing enters what has a kernel of its own, and runsc starts itself again by the path it was found at.
      runtime: kind.hasOwnKernel ? "" : binary,
      stateDirectory,
      life,
    }),
    name,
    kind,
    binary,
    stateDirectory,
    hierarchies,
    host: kind.hasOwnKernel ? ownKernelFacts(host) : host,
    hidesUnified:
      kind.refusesHybridCgroups &&
      hierarchies?.version === 1 &&
      hierarchies.mountPoints.has("unified"),
    networkLack: kind.hasOwnKernel ? networkLack(await readVersion(binary), host) : undefined,
  };
}

/** What an OCI runtime says of itself, e.g. `1.1.5+ds1`. */
export async function readVersion(binary: string, options: Abortable = {}): Promise<string> {
  const { stdout } = await run(binary, ["--version"], { signal: options.signal });
  return /version (\S+)/.exec(stdout)?.[1] ?? "unknown";
}

async function locate(binary: string, kind: RuntimeKind): Promise<string> {
  if (binary.includes("/")) return binary;
  const path = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin`;
  const found = await findCommand(binary, path);
  if (found !== undefined) return found;
  throw new LongshoreError("RUNTIME_NOT_SUPPORTED", `${binary} is not installed.`, {
    details: { missing: binary, fix: `apt-get install ${kind.debianPackage}` },
  });
}
