import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  isLongshoreError,
  LongshoreError,
  type Logger,
  type PodSandboxNetworkStatus,
} from "@longshore/core";
import PQueue from "p-queue";
import { createEgressProxy, type EgressProxy } from "../egress/egress-proxy.ts";
import { removeTrustFiles } from "../egress/trust-files.ts";
import type { BridgeNetworkOptions } from "./bridge-network-options.ts";
import { createTurns } from "./turns.ts";
import { checkPortIsFree } from "./host-ports.ts";
import { newLease } from "./new-lease.ts";
import { bridgePrograms, prepareHost, takeDownHost } from "./host-setup.ts";
import { openLeaseStore, type NetworkLease } from "./lease-store.ts";
import { hostBatch, isLink, linksNamed, removeLinkBatch, sandboxBatch } from "./links.ts";
import { reachableNameServers } from "./name-servers.ts";
import { createNetns, isNetns, removeNetns } from "./netns-file.ts";
import { lockNetwork } from "./network-lock.ts";
import { createRuleSet } from "./rule-set.ts";
import type { RuleSettings } from "./network-rules.ts";
import type { SandboxNetworkSetup, SandboxNetworkSpec } from "./sandbox-network.ts";
import { runSystemCommand } from "./system-command.ts";

/** A bridge that is there, with its rules and leases. */
export interface LiveBridge {
  setUp(spec: SandboxNetworkSpec, signal?: AbortSignal): Promise<SandboxNetworkSetup>;
  tearDown(sandboxId: string): Promise<void>;
  recover(
    known: readonly SandboxNetworkSpec[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, SandboxNetworkSetup>>;
  close(): Promise<void>;
}

export interface LiveBridgeOptions extends BridgeNetworkOptions {
  readonly name: string;
  readonly logger: Logger;
}

/** The kernel makes links one after the other anyway; more processes at a time only wait for each other. */
const parallelSetUps = 4;
const sandboxIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/**
 * @throws {LongshoreError} `STATE_CONFLICT` when another program uses the directory; `CONFIG_ERROR`; `IO_ERROR`
 */
export async function openBridge(options: LiveBridgeOptions): Promise<LiveBridge> {
  const { directory, logger } = options;
  const unlock = await lockNetwork(directory);
  try {
    const programs = await bridgePrograms();
    const store = await openLeaseStore(join(directory, "leases"));
    const hasLeases = [...store.leases.values()].some((lease) => lease.index !== undefined);
    const host = await prepareHost({ ...options, hasLeases }, programs);
    const { plan } = host;
    const namespaces = join(directory, "netns");
    await mkdir(namespaces, { recursive: true, mode: 0o700 });
    const allow = new Set(options.allow ?? []);
    let settings: RuleSettings = { plan, allow, uplinks: host.uplinks };
    const rules = createRuleSet(programs.nft, settings);
    for (const lease of store.leases.values()) rules.know(lease);
    await rules.rebuild(settings);
    const queue = new PQueue({ concurrency: parallelSetUps });
    const inTurn = createTurns();
    const certificates = join(directory, "egress");
    let proxy: Promise<EgressProxy> | undefined;

    const namespaceOf = (sandboxId: string): string => join(namespaces, sandboxId);
    const ip = (batch: string, ...flags: string[]): Promise<string> =>
      runSystemCommand([programs.ip, ...flags, "-batch", "-"], batch);
    const startProxy = async (): Promise<EgressProxy> => {
      const started = await createEgressProxy({
        ...options.egress,
        address: plan.gateway,
        directory: certificates,
        events: options.events,
        logger,
      });
      settings = { ...settings, proxyListenPort: started.port };
      try {
        await rules.rebuild(settings);
      } catch (error) {
        await started[Symbol.asyncDispose]();
        throw error;
      }
      return started;
    };
    const getProxy = (): Promise<EgressProxy> => {
      proxy ??= startProxy().catch((error: unknown) => {
        proxy = undefined;
        throw error;
      });
      return proxy;
    };

    const describe = async (
      { sandboxId, config }: SandboxNetworkSpec,
      lease: NetworkLease,
    ): Promise<SandboxNetworkSetup> => {
      const namespacePath = namespaceOf(sandboxId);
      if (lease.index === undefined) return { namespacePath, nameServers: [] };
      const { address, address6 } = plan.place(lease);
      const status: PodSandboxNetworkStatus = {
        ip: address,
        additionalIps: address6 === undefined ? [] : [address6],
      };
      if (!lease.isEgressOnly || config.egress === undefined) {
        const nameServers = options.nameServers ?? (await reachableNameServers());
        return { namespacePath, status, nameServers };
      }
      const session = await (await getProxy()).open({ sandboxId, address, rules: config.egress });
      return { namespacePath, status, nameServers: [], env: session.env, files: session.files };
    };

    const removeLink = async (lease: NetworkLease): Promise<void> => {
      if (lease.index === undefined) return;
      const { sandboxId } = lease;
      const { link } = plan.place(lease);
      await ip(removeLinkBatch(plan, lease), "-force").catch((error: unknown) => {
        logger.debug({ sandboxId, error }, "part of a sandbox's link was gone already");
      });
      if (!(await isLink(link))) return;
      throw new LongshoreError("IO_ERROR", `The link ${link} could not be removed.`, {
        details: { sandboxId, link },
      });
    };

    /** Everything of a sandbox but its lease goes, whether it is there or not. */
    const undo = async (lease: NetworkLease): Promise<void> => {
      const { sandboxId } = lease;
      (await proxy?.catch(() => undefined))?.close(sandboxId);
      await removeTrustFiles(join(certificates, sandboxId));
      // Without its rules a link passes nothing, so their order does not matter.
      await allDone([
        removeLink(lease),
        rules.remove(lease),
        removeNetns(namespaceOf(sandboxId), programs),
      ]);
    };

    const make = async (
      spec: SandboxNetworkSpec,
      lease: NetworkLease,
      signal: AbortSignal | undefined,
    ): Promise<SandboxNetworkSetup> => {
      const path = namespaceOf(lease.sandboxId);
      const userNamespace = spec.config.linux?.securityContext?.namespaceOptions?.usernsOptions;
      if (lease.index === undefined) {
        await createNetns(path, { batch: "link set lo up\n", userNamespace }, programs);
        return describe(spec, lease);
      }
      const batch = sandboxBatch(plan, lease);
      await allDone([rules.add(lease), createNetns(path, { batch, userNamespace }, programs)]);
      signal?.throwIfAborted();
      await ip(hostBatch(plan, lease, allow.has("sandboxes") && !lease.isEgressOnly));
      return describe(spec, lease);
    };

    const setUp = async (
      spec: SandboxNetworkSpec,
      signal: AbortSignal | undefined,
    ): Promise<SandboxNetworkSetup> => {
      signal?.throwIfAborted();
      const { sandboxId } = spec;
      checkId(sandboxId);
      if (store.leases.has(sandboxId)) {
        throw new LongshoreError("STATE_CONFLICT", `Sandbox ${sandboxId} has a network already.`, {
          details: { sandboxId },
        });
      }
      const lease = newLease(spec, store, plan);
      // From here on others see its ports and address as taken.
      const written = store.add(lease);
      try {
        await written;
        for (const port of lease.hostPorts) await checkPortIsFree(port);
        signal?.throwIfAborted();
        const setup = await make(spec, lease, signal);
        signal?.throwIfAborted();
        return setup;
      } catch (error) {
        await tearDown(sandboxId).catch((undoError: unknown) => {
          // Its lease stays, so that another tear-down or the next start can do it.
          logger.warn({ sandboxId, error: undoError }, "a failed set-up could not be undone");
        });
        if (signal?.aborted === true || isKnown(error)) throw error;
        throw new LongshoreError(
          "SANDBOX_CREATE_FAILED",
          `The network of sandbox ${sandboxId} could not be made.`,
          { cause: error, details: { sandboxId } },
        );
      }
    };

    const tearDown = async (sandboxId: string): Promise<void> => {
      const lease = store.leases.get(sandboxId);
      await undo(lease ?? { sandboxId, hostPorts: [], isEgressOnly: false });
      await store.remove(sandboxId);
    };

    /** Whether what the lease says is still there. */
    const isWhole = async (spec: SandboxNetworkSpec, lease: NetworkLease): Promise<boolean> => {
      if (!(await isNetns(namespaceOf(lease.sandboxId)))) return false;
      if (lease.index === undefined) return true;
      const { link } = plan.place(lease);
      const wantsEgress = spec.config.egress !== undefined;
      return (await isLink(link)) && lease.isEgressOnly === wantsEgress;
    };

    return {
      setUp: (spec, signal) => inTurn(spec.sandboxId, () => queue.add(() => setUp(spec, signal))),
      tearDown: async (sandboxId) => {
        checkId(sandboxId);
        await inTurn(sandboxId, () => queue.add(() => tearDown(sandboxId)));
      },
      async recover(known, signal) {
        const specs = new Map(known.map((spec) => [spec.sandboxId, spec]));
        const found = new Map<string, SandboxNetworkSetup>();
        for (const lease of Array.from(store.leases.values())) {
          signal?.throwIfAborted();
          const spec = specs.get(lease.sandboxId);
          await inTurn(lease.sandboxId, async () => {
            if (spec === undefined) await tearDown(lease.sandboxId);
            else if (await isWhole(spec, lease)) {
              if (lease.index !== undefined) {
                await ip(hostBatch(plan, lease, allow.has("sandboxes") && !lease.isEgressOnly));
              }
              found.set(lease.sandboxId, await describe(spec, lease));
            } else logger.warn({ sandboxId: lease.sandboxId }, "a sandbox's network is broken");
          });
        }
        await sweep();
        return found;
      },
      async close() {
        await queue.onIdle();
        await (await proxy?.catch(() => undefined))?.[Symbol.asyncDispose]();
        try {
          if (store.leases.size === 0) {
            await sweep();
            await rules.clear();
            await takeDownHost(host, programs);
          }
        } finally {
          await unlock();
        }
      },
    };

    /** Takes away what has the name of one of ours but no lease. */
    async function sweep(): Promise<void> {
      for (const sandboxId of store.damaged) await tearDown(sandboxId);
      const leases = [...store.leases.values()].filter((lease) => lease.index !== undefined);
      const links = new Set(leases.map((lease) => plan.place(lease).link));
      for (const link of await linksNamed(plan.linkPrefix)) {
        if (!links.has(link)) await removeStray(link);
      }
      for (const name of await readdir(namespaces)) {
        if (!store.leases.has(name)) await removeNetns(join(namespaces, name), programs);
      }
    }

    /** The kernel takes links away by itself, too, some time after the namespace at their other end. */
    async function removeStray(link: string): Promise<void> {
      try {
        await runSystemCommand([programs.ip, "link", "del", link]);
      } catch (error) {
        if (await isLink(link)) throw error;
      }
    }
  } catch (error) {
    await unlock();
    throw error;
  }
}

function checkId(sandboxId: string): void {
  if (sandboxIdPattern.test(sandboxId)) return;
  throw new LongshoreError("VALIDATION_ERROR", "A sandbox's id is letters, digits, _ . and -.", {
    details: { field: "sandboxId", expected: sandboxIdPattern.source },
  });
}

/** Waits for all, also when one fails: what comes next must not overlap with any of them. */
async function allDone(works: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
}

/** Errors whose code already tells the caller what to do. */
function isKnown(error: unknown): boolean {
  return (
    isLongshoreError(error) &&
    ["STATE_CONFLICT", "VALIDATION_ERROR", "RUNTIME_NOT_SUPPORTED", "POOL_EXHAUSTED"].includes(
      error.code,
    )
  );
}
