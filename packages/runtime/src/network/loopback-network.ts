import { LongshoreError } from "@longshore/core";
import type { SandboxNetwork, SandboxNetworkSpec } from "./sandbox-network.ts";

/**
 * Only the network `"none"`, for drivers that make such a namespace themselves, as they do without root. It needs nothing of
 * the machine and leaves nothing behind.
 */
export function loopbackNetwork(): SandboxNetwork {
  return {
    condition: () => Promise.resolve({ isReady: true, reason: "" }),
    async setUp(spec, { signal } = {}) {
      signal?.throwIfAborted();
      check(spec);
      return Promise.resolve({});
    },
    tearDown: () => Promise.resolve(),
    async recover(known, { signal } = {}) {
      signal?.throwIfAborted();
      return Promise.resolve(new Map(known.map(({ sandboxId }) => [sandboxId, {}])));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function check({ config }: SandboxNetworkSpec): void {
  const network = config.linux?.securityContext?.namespaceOptions?.network ?? "pod";
  if (network !== "none") throw refused("namespaceOptions.network", `not "${network}"`);
  if ((config.portMappings ?? []).length > 0) throw refused("portMappings", "no ports");
  if (config.egress !== undefined) throw refused("egress", "no egress");
}

function refused(field: string, what: string): LongshoreError {
  return new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `Sandboxes have the network "none" here, ${what}; others need root.`,
    { details: { field, expected: "none" } },
  );
}
