import {
  LongshoreError,
  type Abortable,
  type DriverProcess,
  type ExecRequest,
  type ExecSession,
  type ProcessSpec,
} from "@longshore/core";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { requireRunning, wrapped } from "../engine/requirements.ts";
import { anySignal, untilUndone } from "../engine/turn-queue.ts";
import { execSession } from "../sessions/exec-session.ts";
import { execProcess } from "./exec-process.ts";

export async function exec(
  engine: Engine,
  request: ExecRequest,
  { signal }: Abortable = {},
): Promise<ExecSession> {
  signal?.throwIfAborted();
  const { containerId, tty = false, stdout = true, stderr = !tty } = request;
  const entry = engine.registry.getContainer(containerId);
  if (tty && stderr) throw invalid("stderr", "must not be asked for with a terminal.");
  const spec = execProcess(entry, request);
  const inner = anySignal(
    signal,
    entry.leaving.signal,
    entry.sandbox.leaving.signal,
    engine.closing,
  );
  const process = await untilUndone(startProcess(entry, { spec, signal: inner }), inner);
  return execSession(process, { stdout, stderr });
}

/** Starts a command; one that started in spite of an abort is gone again. */
export async function startProcess(
  entry: ContainerEntry,
  { spec, signal }: { readonly spec: ProcessSpec; readonly signal: AbortSignal },
): Promise<DriverProcess> {
  signal.throwIfAborted();
  const container = requireRunning(entry);
  if (entry.record.isPaused) {
    throw new LongshoreError("SANDBOX_INVALID_STATE", `The container ${entry.id} is paused.`);
  }
  let process: DriverProcess;
  try {
    process = await container.exec(spec, { signal });
  } catch (error) {
    throw signal.aborted ? signal.reason : wrapped(error, "EXECUTION_ERROR");
  }
  process.exit.catch(() => undefined);
  if (!signal.aborted) return process;
  await process.kill();
  throw signal.reason;
}
