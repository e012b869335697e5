import { readFile } from "node:fs/promises";
import { nanosecondsFromMs, type NetworkUsage, type PodSandboxStats } from "@longshore/core";
import { readUsage } from "../cgroup/read-usage.ts";
import type { SandboxContext } from "./sandbox-context.ts";

/** What a sandbox uses as a whole. Its containers are asked each for themselves. */
export async function sandboxStats(context: SandboxContext): Promise<PodSandboxStats["linux"]> {
  const { runtime, cgroup } = context;
  const { cpu, memory, io, process } = await readUsage(runtime.hierarchies, cgroup);
  return { cpu, memory, io, process, network: await networkUsage(context), containers: [] };
}

/** Counters of the sandbox's interfaces, read by way of a process that is in its network. */
async function networkUsage(context: SandboxContext): Promise<NetworkUsage | undefined> {
  // The host's own interfaces are not the sandbox's doing.
  if (context.spec.networkNamespace === undefined) return undefined;
  const [pid] = context.pids.values();
  if (pid === undefined) return undefined;
  const text = await readFile(`/proc/${pid}/net/dev`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const interfaces = text.split("\n").flatMap((line) => parseInterface(line) ?? []);
  const [defaultInterface, ...others] = interfaces;
  return {
    timestamp: nanosecondsFromMs(Date.now()),
    ...(defaultInterface !== undefined && { defaultInterface }),
    interfaces: others,
  };
}

/** A line of `/proc/<pid>/net/dev`, see proc_pid_net(5). */
function parseInterface(line: string): NetworkUsage["interfaces"][number] | undefined {
  const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
  const name = match?.[1];
  if (name === undefined || name === "lo") return undefined;
  const numbers = (match?.[2] ?? "").trim().split(/\s+/).map(Number);
  return {
    name,
    rxBytes: numbers[0] ?? 0,
    rxErrors: numbers[2] ?? 0,
    txBytes: numbers[8] ?? 0,
    txErrors: numbers[10] ?? 0,
  };
}
