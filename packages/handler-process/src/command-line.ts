import { findCommand, LongshoreError, normalizeRuntime, type JobRuntime } from "@longshore/core";
import type { ProcessHandlerOptions, ProcessRuntime } from "./process-handler-options.ts";
import { builtInRuntimes } from "./process-handler-options.ts";

/** A program with its arguments; nothing in it is ever read by a shell. */
export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * What a job runs: the runtime's interpreter with the job's `cmd` and `args`, under the limits the job asks for.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`, `VALIDATION_ERROR`
 */
export async function commandLine(
  runtime: JobRuntime,
  options: ProcessHandlerOptions,
  timeoutSeconds: number,
): Promise<CommandLine> {
  const known = findRuntime(runtime, options);
  const memoryMb = runtime.limits?.memoryMb ?? options.memoryMb;
  const isV8 = known.memoryLimit === "v8-heap";
  const words = [
    ...known.command,
    ...(isV8 && memoryMb !== undefined ? [`--max-old-space-size=${memoryMb}`] : []),
    ...(runtime.cmd ?? []),
    ...(runtime.args ?? []),
  ];
  const [program = "", ...args] = words;
  if (words.length === known.command.length || program === "") {
    throw new LongshoreError("VALIDATION_ERROR", "runtime.cmd: names nothing to run", {
      phase: "validation",
      details: { issues: [{ path: "runtime.cmd", code: "too_small", message: "is empty" }] },
    });
  }
  if (words.some((word) => word.includes("\0"))) {
    throw new LongshoreError("VALIDATION_ERROR", "runtime.cmd: must not contain NUL", {
      phase: "validation",
    });
  }
  const limits = limitFlags({
    runtime,
    options,
    timeoutSeconds,
    memoryMb: isV8 ? undefined : memoryMb,
  });
  return withParentDeath(await withLimits({ program, args }, limits, options));
}

function findRuntime(runtime: JobRuntime, options: ProcessHandlerOptions): ProcessRuntime {
  const name = normalizeRuntime(runtime.runtime ?? "native");
  const table = { ...builtInRuntimes, ...options.runtimes };
  const known = Object.hasOwn(table, name) ? table[name] : undefined;
  if (known !== undefined) return known;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `There is no runtime "${name}"; known are ${Object.keys(table).join(", ")}.`,
    { phase: "validation", details: { runtime: name, known: Object.keys(table) } },
  );
}

/** Flags of prlimit(1). No limit is ever raised: prlimit fails when asked to, and so does the job. */
function limitFlags(wanted: {
  runtime: JobRuntime;
  options: ProcessHandlerOptions;
  timeoutSeconds: number;
  memoryMb: number | undefined;
}): readonly string[] {
  const { runtime, options, timeoutSeconds, memoryMb } = wanted;
  const { cpus, diskMb } = runtime.limits ?? {};
  const pids = runtime.limits?.pids ?? options.pids;
  const flags: string[] = [];
  if (memoryMb !== undefined) flags.push(`--as=${memoryMb * 1_048_576}`);
  if (pids !== undefined) flags.push(`--nproc=${pids}`);
  if (diskMb !== undefined) flags.push(`--fsize=${diskMb * 1_048_576}`);
  if (cpus !== undefined) flags.push(`--cpu=${Math.ceil(cpus * timeoutSeconds)}`);
  return flags;
}

async function withLimits(
  { program, args }: CommandLine,
  flags: readonly string[],
  { ignoreMissingLimits = false }: ProcessHandlerOptions,
): Promise<CommandLine> {
  if (flags.length === 0) return { program, args };
  const prlimit = await findTool("prlimit");
  if (prlimit === undefined) {
    if (ignoreMissingLimits) return { program, args };
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      "The job asks for limits, and this machine has no prlimit to keep them; install util-linux.",
      { details: { limits: flags } },
    );
  }
  return { program: prlimit, args: ["--core=0", ...flags, "--", program, ...args] };
}

/** Where setpriv(1) is there, the kernel kills the process when its worker dies, however that happens. */
async function withParentDeath({ program, args }: CommandLine): Promise<CommandLine> {
  const setpriv = await findTool("setpriv");
  if (setpriv === undefined) return { program, args };
  return { program: setpriv, args: ["--pdeathsig", "KILL", "--", program, ...args] };
}

function findTool(name: string): Promise<string | undefined> {
  return findCommand(name, "/usr/bin:/bin:/usr/sbin:/sbin");
}
