import { Readable } from "node:stream";
import type { Abortable } from "../abortable.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import { execInSandbox } from "./exec-in-sandbox.ts";
import { runCommand, startCommand } from "./run-command.ts";
import type { CommandLimits, FinishedCommand, RunningCommand } from "./run-command.ts";
import type { RuntimeClient } from "./runtime-client.ts";

interface ToolOptions extends Pick<CommandLimits, "stdin" | "maxOutputBytes" | "signal"> {
  /** Whether its output is wanted. @default true */
  readonly stdout?: boolean | undefined;
}

/** Runs the tools of an image on its files. No shell reads their arguments. */
export interface ContainerTools {
  /** Runs a tool to its end. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when the image does not have it */
  tool(cmd: readonly string[], options?: ToolOptions): Promise<FinishedCommand>;
  /** As `tool`; its failure is the path's: `NOT_FOUND` when nothing is there, else `IO_ERROR`. */
  onPath(path: string, cmd: readonly string[], options?: ToolOptions): Promise<FinishedCommand>;
  /** As `onPath`, with the output as a stream. */
  stream(path: string, cmd: readonly string[], options?: Abortable): Readable;
  /** Starts a tool whose outputs are read one by one. */
  start(cmd: readonly string[], options?: Abortable): RunningCommand;
  exists(path: string, signal?: AbortSignal): Promise<boolean>;
}

export function containerTools(runtime: RuntimeClient, containerId: string): ContainerTools {
  const inside: Pick<RuntimeClient, "exec"> = {
    exec: (request, options) => execInSandbox(runtime, request, options),
  };
  const tools: ContainerTools = {
    async tool(cmd, { stdout = true, ...limits } = {}) {
      return runCommand(inside, { containerId, cmd, stdout }, limits).catch((error: unknown) => {
        throw missing(cmd, error);
      });
    },
    async onPath(path, cmd, options = {}) {
      const finished = await tools.tool(cmd, options);
      if (finished.exit.exitCode !== 0) throw await reason(path, finished, options.signal);
      return finished;
    },
    start(cmd, { signal } = {}) {
      const limits = { signal, maxOutputBytes: 0, killsBackground: true };
      return startCommand(inside, { containerId, cmd }, limits);
    },
    stream(path, cmd, { signal } = {}) {
      const left = new AbortController();
      const command = tools.start(cmd, {
        signal: AbortSignal.any([left.signal, ...(signal === undefined ? [] : [signal])]),
      });
      command.stderr.collect();
      const chunks = command.stdout[Symbol.asyncIterator]();
      const next = async (): Promise<Uint8Array | null> => {
        try {
          const chunk = await chunks.next();
          if (chunk.done !== true) return chunk.value;
          const finished = await command.finished;
          if (finished.exit.exitCode === 0) return null;
          throw await reason(path, finished, signal);
        } catch (error) {
          throw missing(cmd, error);
        }
      };
      return new Readable({
        read() {
          next().then(
            (chunk) => this.push(chunk),
            (error: unknown) => this.destroy(toError(error)),
          );
        },
        destroy(reason, callback) {
          left.abort();
          const tell = (): void => callback(reason);
          command.finished.then(tell, tell);
        },
      });
    },
    exists: async (path, signal) =>
      (await tools.tool(["test", "-e", path], { signal })).exit.exitCode === 0,
  };

  const reason = async (
    path: string,
    { stderr }: FinishedCommand,
    signal: AbortSignal | undefined,
  ): Promise<LongshoreError> => {
    const text = stderr.tail().trim().slice(0, 500);
    if (await tools.exists(path, signal)) return failed(path, text);
    return new LongshoreError("NOT_FOUND", `Nothing is at ${path} in the sandbox.`, {
      details: { path, reason: text },
    });
  };
  return tools;
}

export function failed(path: string, reason: string): LongshoreError {
  return new LongshoreError("IO_ERROR", `${path} in the sandbox: ${reason}`, { details: { path } });
}

function missing(cmd: readonly string[], error: unknown): unknown {
  if (!isLongshoreError(error, "EXECUTION_ERROR")) return error;
  return new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `The image has no "${cmd[0] ?? ""}" to reach its files with; use an image that has it.`,
    { cause: error },
  );
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
