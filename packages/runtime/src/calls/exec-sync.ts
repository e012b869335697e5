import {
  LongshoreError,
  type Abortable,
  type DriverProcess,
  type ExecSyncRequest,
  type ExecSyncResponse,
} from "@longshore/core";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import { abortable, anySignal, within } from "../engine/turn-queue.ts";
import { lost } from "../sessions/exec-session.ts";
import { execProcess } from "./exec-process.ts";
import { startProcess } from "./exec.ts";

/** What is kept of each stream; as much as containerd keeps */
const maxBytes = 16_777_216;
/** Children that hold on to the streams are not waited for longer */
const drainMs = 6_000;

export async function execSync(
  engine: Engine,
  { containerId, cmd, timeout = 0 }: ExecSyncRequest,
  { signal }: Abortable = {},
): Promise<ExecSyncResponse> {
  signal?.throwIfAborted();
  if (!(timeout >= 0)) throw invalid("timeout", "must be 0 or more seconds.");
  const entry = engine.registry.getContainer(containerId);
  const spec = execProcess(entry, { containerId, cmd });
  const timeoutMs = Math.min(timeout * 1_000, 2 ** 31 - 1);
  const deadline = timeout === 0 ? undefined : AbortSignal.timeout(Math.ceil(timeoutMs));
  const end = anySignal(signal, deadline, entry.leaving.signal, engine.closing);
  let process: DriverProcess | undefined;
  try {
    process = await startProcess(entry, { spec, signal: end });
    return await abortable(collect(process), end);
  } catch (error) {
    await process?.kill();
    if (!end.aborted) throw error;
    if (deadline?.aborted !== true || signal?.aborted === true) throw end.reason;
    throw new LongshoreError(
      "TIMEOUT",
      `${JSON.stringify(cmd[0])} was killed after ${timeout} s.`,
      {
        details: { timeout },
        cause: error,
      },
    );
  }
}

async function collect(process: DriverProcess): Promise<ExecSyncResponse> {
  const stdout = capture();
  const stderr = capture();
  const flows = Promise.all([stdout.read(process.stdout), stderr.read(process.stderr)]);
  flows.catch(() => undefined);
  await process.stdin.end();
  const { exitCode } = await process.exit.catch((error: unknown) => {
    throw lost(error);
  });
  if (!(await within(flows, drainMs))) await process.kill();
  return { exitCode, stdout: stdout.bytes(), stderr: stderr.bytes() };
}

function capture(): {
  read(source: AsyncIterable<Uint8Array>): Promise<void>;
  bytes(): Uint8Array;
} {
  const chunks: Uint8Array[] = [];
  let left = maxBytes;
  return {
    async read(source) {
      for await (const chunk of source) {
        if (left === 0) continue;
        const part = chunk.subarray(0, left);
        chunks.push(part);
        left -= part.length;
      }
    },
    bytes: () => Buffer.concat(chunks),
  };
}
