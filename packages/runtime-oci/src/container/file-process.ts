import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  hasCode,
  LongshoreError,
  type Abortable,
  type DriverProcess,
  type ErrorCode,
} from "@longshore/core";
import type { Connection } from "../monitor/connection.ts";
import { perlScript } from "../perl/perl-program.ts";
import { collectText, perlError } from "../perl/perl-report.ts";
import { capabilityMask } from "../spec/capability-names.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import type { ContainerContext } from "./container-context.ts";
import { runInMonitor } from "./run-in-monitor.ts";

const maxPathBytes = 4_096;

/** A program at a container's files, and what it is to do: a verb, a path, and more. */
export interface FileOrder {
  readonly program: string;
  readonly words: readonly [verb: string, path: string, ...more: string[]];
}

interface OutputOptions extends Abortable {
  readonly maxBytes: number;
}

/** Starts programs at the files of a container. */
export interface FileProcesses {
  /** @throws {LongshoreError} `VALIDATION_ERROR` for a path that cannot be one */
  start(
    order: FileOrder,
    options?: Abortable & { readonly stdin?: boolean },
  ): Promise<DriverProcess>;
  /** All that it prints. An abort ends it. @throws {LongshoreError} `LIMIT_EXCEEDED`, and what it reports */
  output(order: FileOrder, options: OutputOptions): Promise<Buffer>;
  /** What it prints, as it comes. Leaving early ends it. */
  stream(order: FileOrder, options?: Abortable): AsyncGenerator<Uint8Array>;
  /** Gives it an input, and waits for its end; kills it when the input fails. */
  feed(
    order: FileOrder,
    input: Iterable<string | Uint8Array> | AsyncIterable<Uint8Array>,
    options?: Abortable,
  ): Promise<void>;
}

/** @param orders the connection that gives the container's monitor orders */
export function fileProcesses(context: ContainerContext, orders: Connection): FileProcesses {
  let identity: readonly string[] | undefined;

  const processes: FileProcesses = {
    async start({ program, words }, { signal, stdin = false } = {}) {
      signal?.throwIfAborted();
      checkPath(words[1]);
      const { text, table } = perlScript(program);
      const name = `exec-${randomBytes(8).toString("hex")}`;
      const request = { type: "F", name, spec: { stdin, tty: false } } as const;
      identity ??= readIdentity(context.directory);
      const all = [text, table, ...identity, ...words];
      return runInMonitor(context, { ...request, words: all }, { signal, orders });
    },
    async output(order, options) {
      const process = await processes.start(order, { signal: options.signal });
      return outputOf(process, order.words[1], options);
    },
    async *stream(order, { signal } = {}) {
      const process = await processes.start(order, { signal });
      try {
        const errors = collectText(process.stderr);
        yield* process.stdout;
        if ((await process.exit).exitCode !== 0) throw fileError(order.words[1], await errors);
      } finally {
        await process.kill();
      }
    },
    async feed(order, input, { signal } = {}) {
      const process = await processes.start(order, { signal, stdin: true });
      const end = outputOf(process, order.words[1], { maxBytes: 65_536, signal });
      end.catch(() => undefined);
      try {
        for await (const chunk of input) {
          signal?.throwIfAborted();
          // One that has ended takes nothing more, and says why below.
          await Promise.race([process.stdin.write(chunk), end]);
        }
        await process.stdin.end();
        await end;
      } catch (error) {
        await process.kill();
        await end.catch(() => undefined);
        throw error;
      }
    },
  };
  return processes;
}

/** All that a program prints, when it ends well. */
async function outputOf(
  process: DriverProcess,
  path: string,
  { maxBytes, signal }: OutputOptions,
): Promise<Buffer> {
  const onAbort = (): void => void process.kill();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const errors = collectText(process.stderr);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of process.stdout) {
      size += chunk.length;
      if (size > maxBytes) {
        await process.kill();
        throw new LongshoreError(
          "LIMIT_EXCEEDED",
          `${path} has more than the ${maxBytes} bytes allowed.`,
          { details: { path, maxBytes } },
        );
      }
      chunks.push(chunk);
    }
    const { exitCode } = await process.exit;
    signal?.throwIfAborted();
    if (exitCode !== 0) throw fileError(path, await errors);
    return Buffer.concat(chunks);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Who the container's first process was started as: user, groups and capabilities, as the program takes them. */
function readIdentity(directory: string): readonly string[] {
  // This program wrote it, into memory.
  const { process } = JSON.parse(readConfiguration(directory)) as OciSpec;
  const { uid, gid, additionalGids } = process.user;
  const mask = capabilityMask(process.capabilities.effective);
  const halves = [mask & 0xff_ff_ff_ffn, mask >> 32n];
  return [String(uid), String(gid), additionalGids.join(","), ...halves.map(String)];
}

/** @throws {LongshoreError} `SANDBOX_INVALID_STATE` when the container is gone */
function readConfiguration(directory: string): string {
  try {
    return readFileSync(join(directory, "config.json"), "utf8");
  } catch (cause) {
    if (!hasCode(cause, "ENOENT", "ENOTDIR")) throw cause;
    throw new LongshoreError("SANDBOX_INVALID_STATE", "The container has ended.", { cause });
  }
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function checkPath(path: string): void {
  const isFit =
    path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= maxPathBytes;
  if (isFit) return;
  throw invalid(
    path,
    `A path in a sandbox is absolute, without NUL, and at most ${maxPathBytes} bytes long.`,
  );
}

export function invalid(path: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, { details: { path: path.slice(0, 200) } });
}

/** What went wrong at a path, as the program reported it. */
export function fileError(path: string, report: string): LongshoreError {
  const error = perlError(`use ${path}`, report);
  const { errno, step, subject } = error.details ?? {};
  const code = ownCodes.get(step);
  if (code !== undefined) {
    return new LongshoreError(code, `${path}: ${String(subject)}.`, { details: { path } });
  }
  if (errno !== "ENOENT") return error;
  return new LongshoreError("NOT_FOUND", `Nothing is at ${path}.`, { details: { path } });
}

/** Codes of what a program found itself, by its step. */
const ownCodes: ReadonlyMap<unknown, ErrorCode> = new Map([
  ["refuse", "VALIDATION_ERROR"],
  ["limit", "LIMIT_EXCEEDED"],
]);
