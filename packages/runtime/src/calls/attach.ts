import type { Duplex } from "node:stream";
import {
  LongshoreError,
  type Abortable,
  type AttachRequest,
  type AttachSession,
  type ContainerRef,
  type PortForwardRequest,
  type SandboxFiles,
} from "@longshore/core";
import { invalid } from "../engine/check-fields.ts";
import type { Engine } from "../engine/engine.ts";
import type { ContainerEntry } from "../engine/entries.ts";
import { requireRunning, requireUp } from "../engine/requirements.ts";
import { abortable, anySignal } from "../engine/turn-queue.ts";
import { endingInput } from "../sessions/exec-session.ts";

export async function attach(
  engine: Engine,
  request: AttachRequest,
  { signal }: Abortable = {},
): Promise<AttachSession> {
  signal?.throwIfAborted();
  const entry = engine.registry.getContainer(request.containerId);
  const wanted = wantedStreams(entry, request);
  // While it is started neither is right: not a session from the first byte on, and not one of a running process.
  if (entry.isStarting) await entry.turn.run(async () => undefined, signal);
  const session = await join(engine, entry, { wanted, signal });
  return wanted.stdin && entry.record.config.stdinOnce === true ? endingInput(session) : session;
}

interface Joining {
  readonly wanted: Omit<AttachRequest, "containerId">;
  readonly signal: AbortSignal | undefined;
}

async function join(
  engine: Engine,
  entry: ContainerEntry,
  { wanted, signal }: Joining,
): Promise<AttachSession> {
  if (entry.record.state === "created" && !entry.leaving.signal.aborted) {
    requireUp(entry.sandbox);
    return entry.pending.add(wanted);
  }
  const { leaving, driverTurn } = entry.sandbox;
  const inner = anySignal(signal, entry.leaving.signal, leaving.signal, engine.closing);
  const container = requireRunning(entry);
  return driverTurn.run(() => container.attach(wanted, { signal: inner }), inner);
}

function wantedStreams(
  { record: { config } }: ContainerEntry,
  request: AttachRequest,
): { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean } {
  const { tty = false } = config;
  const { stdin = false, stdout = true, stderr = !tty } = request;
  if (tty && stderr) throw invalid("stderr", "must not be asked for with a terminal.");
  if (stdin && config.stdin !== true) throw invalid("stdin", "needs a container made with stdin.");
  if (!stdin && !stdout && !stderr) {
    throw invalid("stdout", "at least one of stdin, stdout and stderr must be asked for.");
  }
  return { stdin, stdout, stderr };
}

export async function portForward(
  engine: Engine,
  { podSandboxId, port }: PortForwardRequest,
  { signal }: Abortable = {},
): Promise<Duplex> {
  signal?.throwIfAborted();
  const entry = engine.registry.getSandbox(podSandboxId);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalid("port", "must be a port from 1 to 65535.");
  }
  const sandbox = requireUp(entry);
  const inner = anySignal(signal, entry.leaving.signal, engine.closing);
  return entry.driverTurn.run(
    () => abortable(sandbox.connect(port, { signal: inner }), inner),
    inner,
  );
}

/** `undefined` when the container's driver has no way to its files but the tools of its image. */
export function files(engine: Engine, { containerId }: ContainerRef): SandboxFiles | undefined {
  const entry = engine.registry.getContainer(containerId);
  if (entry.record.state === "running") return entry.driver?.files;
  throw new LongshoreError(
    "SANDBOX_INVALID_STATE",
    `The container ${entry.id} is ${entry.record.state}, not running.`,
  );
}
