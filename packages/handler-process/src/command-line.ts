import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { findCommand, LongshoreError, normalizeRuntime, type JobRuntime } from "@longshore/core";
import type { ProcessHandlerOptions, ProcessRuntime } from "./process-handler-options.ts";
import { builtInRuntimes } from "./process-handler-options.ts";
import { limitFlags } from "./limit-flags.ts";
import type { SystemTools } from "./system-tools.ts";

/** A program with its arguments; nothing in it is ever read by a shell. */
export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
}

export interface CommandLineParts {
  readonly options: ProcessHandlerOptions;
  readonly tools: SystemTools;
  /** Time the attempt may take */
  readonly timeoutSeconds: number;
  /** Directory the process starts in */
  readonly cwd: string;
  /** `PATH` of the process */
  readonly path: string;
  /** User the process runs as */
  readonly uid: number;
}

/**
 * What a job runs: the runtime's interpreter with the job's `cmd` and `args`, under the limits the job asks for.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED`, `VALIDATION_ERROR`, `EXECUTION_ERROR` for a program that is not there
 */
export async function commandLine(
  runtime: JobRuntime,
  parts: CommandLineParts,
): Promise<CommandLine> {
  const { options, tools } = parts;
  const known = findRuntime(runtime, options);
  const memoryMb = runtime.limits?.memoryMb ?? options.memoryMb;
  const isV8 = known.memoryLimit === "v8-heap";
  const given = [...(runtime.cmd ?? []), ...(runtime.args ?? [])];
  if ((given[0] ?? "") === "") throw nothingToRun();
  const [name = "", ...args] = [
    ...known.command,
    // Not --max-old-space-size: it leaves the young generation out, which takes hundreds of MiB on a large machine.
    ...(isV8 && memoryMb !== undefined ? [`--max-heap-size=${memoryMb}`] : []),
    ...given,
  ];
  const isInterpreter = known.command.length > 0;
  const program = await findProgram(name, { ...parts, isInterpreter });
  const flags = await wantedLimits(runtime, parts, isV8 ? undefined : memoryMb);
  return withParentDeath(withLimits({ program, args }, flags, tools), tools);
}

function nothingToRun(): LongshoreError {
  const message = "names nothing to run";
  return new LongshoreError("VALIDATION_ERROR", `runtime.cmd: ${message}`, {
    phase: "validation",
    details: { issues: [{ path: "runtime.cmd", code: "custom", message }] },
  });
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

/** The file to run, found before anything starts: a shell's or tool's "not found" would look like the program's own failure. */
async function findProgram(
  name: string,
  { cwd, path, isInterpreter }: CommandLineParts & { readonly isInterpreter: boolean },
): Promise<string> {
  const file = name.includes("/")
    ? await findCommand(resolve(cwd, name), "")
    : await findCommand(name, path);
  if (file !== undefined && (await stat(file)).isFile()) return file;
  const where = name.includes("/") ? "is not an executable file" : "is not on the PATH";
  throw isInterpreter
    ? new LongshoreError("RUNTIME_NOT_SUPPORTED", `The interpreter ${name} ${where}.`, {
        details: { program: name },
      })
    : new LongshoreError("EXECUTION_ERROR", `The program "${name}" ${where}.`, {
        retryable: false,
        details: { program: name },
      });
}

async function wantedLimits(
  runtime: JobRuntime,
  { options, tools, timeoutSeconds, uid }: CommandLineParts,
  memoryMb: number | undefined,
): Promise<readonly string[]> {
  const { cpus, diskMb, network = "host" } = runtime.limits ?? {};
  const isOptional = options.ignoreMissingLimits === true;
  const limits = {
    memoryMb,
    diskMb,
    pids: runtime.limits?.pids ?? options.pids,
    cpuSeconds: cpus === undefined ? undefined : cpus * timeoutSeconds,
  };
  if (network !== "host" && !isOptional) {
    throw unsupported(`a process has the network of its host, not "${network}"`, "network");
  }
  if (limits.pids !== undefined && uid === 0) {
    // RLIMIT_NPROC counts nothing for root.
    if (!isOptional)
      throw unsupported("set runtime.user, or run the worker as another user", "pids");
    limits.pids = undefined;
  }
  const [name] = Object.entries(limits).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return [];
  if (tools.prlimit !== undefined) return limitFlags(limits, uid);
  if (isOptional) return [];
  throw unsupported("this machine has no prlimit; install util-linux", name);
}

function unsupported(reason: string, limit: string): LongshoreError {
  return new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `The limit ${limit} cannot be kept: ${reason}.`,
    {
      phase: "validation",
      details: { limit },
    },
  );
}

function withLimits(
  command: CommandLine,
  flags: readonly string[],
  { prlimit }: SystemTools,
): CommandLine {
  if (flags.length === 0 || prlimit === undefined) return command;
  return { program: prlimit, args: [...flags, "--", command.program, ...command.args] };
}

function withParentDeath(command: CommandLine, { setpriv }: SystemTools): CommandLine {
  if (setpriv === undefined) return command;
  return {
    program: setpriv,
    args: ["--pdeathsig", "KILL", "--", command.program, ...command.args],
  };
}
