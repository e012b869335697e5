import { mkdir, realpath } from "node:fs/promises";
import { LongshoreError, silentLogger, type PodSandboxConfig } from "@longshore/core";
import { openBridge, type LiveBridge } from "./live-bridge.ts";
import { missingForBridge } from "./bridge-condition.ts";
import type { BridgeNetworkOptions } from "./bridge-network-options.ts";
import { needsNetwork } from "./new-lease.ts";
import { readNetworkState } from "./network-state.ts";
import type { SandboxNetwork, SandboxNetworkSetup } from "./sandbox-network.ts";
import { parseSubnet } from "./subnet.ts";

/**
 * Sandboxes on a bridge of their own, by `ip` and `nft` of the system. Needs root. Nothing is made before the first
 * sandbox; with the last one gone, dispose takes the bridge and its rules away and puts the host's settings back.
 *
 * @throws {RangeError} for options that make no network
 */
export function bridgeNetwork(options: BridgeNetworkOptions): SandboxNetwork {
  const { name = "longshore0", directory, mtu } = options;
  // Not longer than an interface's name; a plain word for nft.
  if (!/^[A-Za-z][A-Za-z0-9_]{0,14}$/.test(name)) {
    throw new RangeError(`name must be 1 to 15 letters, digits and "_", got "${name}"`);
  }
  if (options.subnet !== undefined && parseSubnet(options.subnet).family !== 4) {
    throw new RangeError(`subnet must be an IPv4 one, got "${options.subnet}"`);
  }
  const { subnet6 = "none" } = options;
  if (subnet6 !== "none" && parseSubnet(subnet6).family !== 6) {
    throw new RangeError(`subnet6 must be an IPv6 one or "none", got "${subnet6}"`);
  }
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 1_280 && mtu <= 65_535)) {
    throw new RangeError(`mtu must be 1280 to 65535 bytes, got ${mtu}`);
  }
  let live: Promise<LiveBridge> | undefined;
  let isDisposed = false;

  const open = async (): Promise<LiveBridge> => {
    const missing = await missingForBridge(name);
    if (missing !== "") throw new LongshoreError("RUNTIME_NOT_SUPPORTED", missing);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { logger = silentLogger } = options;
    return openBridge({ ...options, logger, name, directory: await realpath(directory) });
  };
  const getBridge = (): Promise<LiveBridge> => {
    if (isDisposed) {
      return Promise.reject(new LongshoreError("SHUTDOWN", "The network is closed."));
    }
    live ??= open().catch((error: unknown) => {
      // The next caller tries again: what was missing may have come.
      live = undefined;
      throw error;
    });
    return live;
  };

  /** Whether there never was a sandbox here: then there is nothing to open the bridge for. */
  const isUntouched = async (): Promise<boolean> =>
    live === undefined && (await readNetworkState(directory)) === undefined;

  return {
    async condition() {
      const reason = await missingForBridge(name);
      return { isReady: reason === "", reason };
    },
    async setUp(spec, { signal } = {}) {
      signal?.throwIfAborted();
      if (usesHostNetwork(spec.config)) {
        if (spec.config.egress === undefined) return {};
        throw needsNetwork("egress");
      }
      return (await getBridge()).setUp(spec, signal);
    },
    async tearDown(sandboxId) {
      if (await isUntouched()) return;
      await (await getBridge()).tearDown(sandboxId);
    },
    async recover(known, { signal } = {}) {
      signal?.throwIfAborted();
      const needBridge = known.filter(({ config }) => !usesHostNetwork(config));
      const onHost = known.filter(({ config }) => usesHostNetwork(config));
      const found = new Map<string, SandboxNetworkSetup>(onHost.map((it) => [it.sandboxId, {}]));
      if (await isUntouched()) return found;
      const recovered = await (await getBridge()).recover(needBridge, signal);
      return new Map([...found, ...recovered]);
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      const opened = await live?.catch(() => undefined);
      await opened?.close();
    },
  };
}

function usesHostNetwork({ linux }: PodSandboxConfig): boolean {
  return linux?.securityContext?.namespaceOptions?.network === "node";
}
