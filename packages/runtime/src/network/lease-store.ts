import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { HostPort } from "./host-ports.ts";

/** What a sandbox has of the network, written down before it is made. */
export interface NetworkLease {
  readonly sandboxId: string;
  /** Place of its addresses in the subnets; absent for a namespace with loopback only */
  readonly index?: number | undefined;
  readonly hostPorts: readonly HostPort[];
  /** Whether it may talk to the egress proxy only */
  readonly isEgressOnly: boolean;
}

export interface LeaseStore {
  readonly leases: ReadonlyMap<string, NetworkLease>;
  /** Ids whose file could not be read: their sandbox is lost */
  readonly damaged: readonly string[];
  /** A place that no lease has, different from those given back last; undefined when all are taken. Reserved at once. */
  takeIndex(capacity: number): number | undefined;
  /** Known at once, durable when it resolves. */
  add(lease: NetworkLease): Promise<void>;
  remove(sandboxId: string): Promise<void>;
}

/** Reads all leases of a directory, one file each. */
export async function openLeaseStore(directory: string): Promise<LeaseStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const leases = new Map<string, NetworkLease>();
  const damaged: string[] = [];
  const taken = new Set<number>();
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".json")) {
      // A crash between writing and renaming: nothing was made for it yet.
      await rm(join(directory, name), { force: true });
      continue;
    }
    const sandboxId = name.slice(0, -".json".length);
    const lease = parseLease(await readFile(join(directory, name), "utf8"));
    if (lease?.sandboxId !== sandboxId || (lease.index !== undefined && taken.has(lease.index))) {
      damaged.push(sandboxId);
      continue;
    }
    leases.set(sandboxId, lease);
    if (lease.index !== undefined) taken.add(lease.index);
  }
  let next = taken.size === 0 ? 0 : Math.max(...taken) - 1;

  return {
    leases,
    damaged,
    takeIndex(capacity) {
      if (taken.size >= capacity) return undefined;
      next %= capacity;
      // The first two are the net's and the gateway's.
      while (taken.has(next + 2)) next = (next + 1) % capacity;
      const index = next + 2;
      taken.add(index);
      next = (next + 1) % capacity;
      return index;
    },
    async add(lease) {
      leases.set(lease.sandboxId, lease);
      const path = join(directory, `${lease.sandboxId}.json`);
      const file = await open(`${path}.new`, "w", 0o600);
      try {
        await file.writeFile(JSON.stringify(lease));
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
    },
    async remove(sandboxId) {
      await rm(join(directory, `${sandboxId}.json`), { force: true });
      const index = leases.get(sandboxId)?.index;
      leases.delete(sandboxId);
      if (index !== undefined) taken.delete(index);
    },
  };
}

function parseLease(text: string): NetworkLease | undefined {
  try {
    const value = JSON.parse(text) as NetworkLease;
    const isWhole =
      typeof value.sandboxId === "string" &&
      Array.isArray(value.hostPorts) &&
      typeof value.isEgressOnly === "boolean" &&
      (value.index === undefined || (Number.isSafeInteger(value.index) && value.index > 1));
    return isWhole ? value : undefined;
  } catch {
    // Only written whole, so this is no crash but damage: the caller tears the sandbox's network down.
    return undefined;
  }
}
