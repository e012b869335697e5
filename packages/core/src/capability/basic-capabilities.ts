import { availableParallelism, totalmem } from "node:os";
import type { Capabilities } from "./capabilities.ts";
import { workerVersion } from "./worker-version.ts";

/** What is known without starting anything: the handlers' operations and the size of the machine. */
export function basicCapabilities(
  handlers: { operations(): readonly string[] },
  maxConcurrentJobs: number,
): Capabilities {
  return {
    runtimes: [],
    runtimeVersions: {},
    interpreters: [],
    operations: handlers.operations(),
    features: [],
    formats: {},
    sandboxBackends: [],
    devices: {},
    limits: {
      maxConcurrentJobs,
      memoryMb: Math.floor(usableMemoryBytes() / 1_048_576),
      cpus: availableParallelism(),
    },
    privileged: process.getuid?.() === 0,
    workerVersion,
    protocolVersions: ["1.0"],
    dataLocality: [],
    extra: {},
  };
}

/** The machine's memory, or what a container leaves of it. */
function usableMemoryBytes(): number {
  // Without a limit the system says 0, or a number no machine has.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
