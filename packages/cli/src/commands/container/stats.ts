import { setTimeout as wait } from "node:timers/promises";
import { LongshoreError, type ContainerStats, type RuntimeClient } from "@longshore/core";
import { createLogUpdate } from "log-update";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { interruptible } from "../../interruptible.ts";
import { resultTable, type Column } from "../../result-table.ts";
import { openTerminal } from "../../terminal.ts";
import { findContainer, listFound } from "./find-container.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";

export interface StatsFlags extends RuntimeFlags {
  readonly stream: boolean;
}

const refreshMs = 1_000;
const columns: readonly Column[] = [
  { head: "container" },
  { head: "name" },
  { head: "cpu", align: "right" },
  { head: "memory", align: "right" },
  { head: "limit", align: "right" },
  { head: "written", align: "right" },
];

/** Shows what containers use: once, or live on a terminal until Ctrl-C. */
export async function showStats(names: readonly string[], flags: StatsFlags): Promise<number> {
  const terminal = openTerminal(flags);
  return interruptible(async (signal) => {
    await using runtime = await reachRuntime(flags, { signal });
    const ids = await Promise.all(
      names.map(async (name) => (await findContainer(runtime, name, signal)).container.id),
    );
    if (runtime.listContainerStats === undefined) {
      throw new LongshoreError("RUNTIME_NOT_SUPPORTED", "The runtime has no statistics.");
    }
    // Use of processors is what happened between two readings.
    await readStats(runtime, ids);
    if (terminal.isJson || !flags.stream) {
      await wait(refreshMs, undefined, { signal });
      const rows = await readStats(runtime, ids);
      if (!terminal.isJson) terminal.print(table(rows));
      for (const row of terminal.isJson ? rows : []) terminal.printJson(row);
      return exitCodes.ok;
    }
    const live = createLogUpdate(process.stdout);
    try {
      while (!signal.aborted) {
        live(table(await readStats(runtime, ids)));
        // An abort is the end of the display, and no error.
        await wait(refreshMs, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      live.done();
    }
    return exitCodes.ok;
  });
}

async function readStats(runtime: RuntimeClient, ids: readonly string[]) {
  const [stats = [], found] = await Promise.all([
    runtime.listContainerStats?.({}),
    listFound(runtime),
  ]);
  const names = new Map(
    found.map(({ container, sandbox }) => [container.id, sandbox.metadata.name]),
  );
  return stats
    .filter(({ attributes }) => ids.length === 0 || ids.includes(attributes.id))
    .map((one) => describe(one, names.get(one.attributes.id) ?? ""));
}

function describe({ attributes, cpu, memory, writableLayer }: ContainerStats, name: string) {
  const working = memory?.workingSetBytes;
  const available = memory?.availableBytes;
  return {
    container_id: attributes.id,
    name,
    cpu_percent: cpu?.usageNanoCores === undefined ? undefined : cpu.usageNanoCores / 1e7,
    memory_bytes: working,
    memory_limit_bytes:
      working === undefined || available === undefined ? undefined : working + available,
    written_bytes: writableLayer?.usedBytes,
  };
}

function table(rows: readonly ReturnType<typeof describe>[]): string {
  const size = (bytes: number | undefined): string =>
    bytes === undefined ? "–" : formatBytes(bytes);
  return resultTable(
    columns,
    rows.map((row) => [
      row.container_id.slice(0, 12),
      row.name,
      row.cpu_percent === undefined ? "–" : `${row.cpu_percent.toFixed(1)} %`,
      size(row.memory_bytes),
      size(row.memory_limit_bytes),
      size(row.written_bytes),
    ]),
  );
}
