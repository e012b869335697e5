import { spawn } from "node:child_process";
import { LongshoreError } from "@longshore/core";
import { diskError } from "./disk-error.ts";

export interface ToolRun {
  /** Arguments as they are; no shell reads them */
  readonly args: readonly string[];
  /** Open file that the tool finds as `/dev/fd/3`, so that it cannot be another one than we have checked */
  readonly fd: number;
  readonly signal: AbortSignal;
  /** @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** Exit codes that are answers. @default [0] */
  readonly exitCodes?: readonly number[] | undefined;
}

const maxOutputBytes = 4 * 1_048_576;

/**
 * Runs a program on a file and resolves to what it printed.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when it is not installed, `TIMEOUT`, `DISK_UNREADABLE` when it fails
 */
export async function runTool(command: string, run: ToolRun): Promise<string> {
  const { args, fd, signal, timeoutMs = 30_000, exitCodes = [0] } = run;
  signal.throwIfAborted();
  const deadline = AbortSignal.timeout(timeoutMs);
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe", fd],
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
    signal: AbortSignal.any([signal, deadline]),
    killSignal: "SIGKILL",
  });
  const ended = Promise.withResolvers<number | null>();
  let failure: unknown;
  child.on("error", (error) => {
    failure ??= error;
    if (child.pid === undefined) ended.resolve(null);
  });
  child.on("close", ended.resolve);
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= maxOutputBytes) chunks.push(chunk);
    else child.kill("SIGKILL");
  });
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    if (complaint.length < 2_000) complaint += text;
  });
  const code = await ended.promise;
  signal.throwIfAborted();
  if (deadline.aborted) {
    throw new LongshoreError("TIMEOUT", `${command} took longer than ${timeoutMs} ms.`);
  }
  if (failure instanceof Error && "code" in failure && failure.code === "ENOENT") {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `${command} is not installed; on Debian: apt-get install qemu-utils.`,
      { cause: failure },
    );
  }
  if (length > maxOutputBytes) throw diskError(`${command} printed too much.`);
  if (code === null || !exitCodes.includes(code)) {
    throw diskError(`${command} ${args[0] ?? ""}: ${complaint.trim().slice(0, 500)}`, failure);
  }
  return Buffer.concat(chunks).toString("utf8");
}
