import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { lendNetworkProgram } from "../perl/lend-network-program.ts";
import { runPerl } from "../perl/run-perl.ts";
import { runtimeState, sandboxNamespaces, type SandboxContext } from "./sandbox-context.ts";

/**
 * Prepares a sandbox's network for a kernel of a container's own, which takes the addresses away from the interfaces to answer
 * for them itself. The first time they are noted, from then on they are given back before.
 *
 * @throws {LongshoreError} `IO_ERROR`, e.g. without `ip` (iproute2)
 */
export async function lendNetwork(context: SandboxContext): Promise<void> {
  const { runtime, spec } = context;
  const { networkNamespace } = spec;
  if (networkNamespace === undefined || sandboxNamespaces(spec).network === "none") return;
  const directory = runtimeState(context);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Written last, so that with it both are whole.
  const isNoted = existsSync(join(directory, "network.done"));
  await runPerl(runtime.perl, {
    program: lendNetworkProgram,
    args: [networkNamespace, directory, isNoted ? "restore" : "save"],
    what: "prepare the sandbox's network",
  });
}

/** How the OCI runtime is told of the network, for a kernel of a container's own. */
export function networkOptions({ runtime, spec }: SandboxContext): readonly string[] {
  if (!runtime.kind.hasOwnKernel) return [];
  return [`--network=${sandboxNamespaces(spec).network === "none" ? "none" : "sandbox"}`];
}
