import type { KeyValue } from "@longshore/core";
import { forwardSignals } from "./forward-signals.ts";
import { findContainer } from "./find-container.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";
import { joinTerminal } from "./join-terminal.ts";
import { invalid } from "./run-flags.ts";

export interface ExecFlags extends RuntimeFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
}

/** Runs a command in a running container; its exit code is the command's. */
export async function execInContainer(
  name: string,
  command: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  const { interactive = false, tty = false, env = [], workdir, user } = flags;
  const envs = env.map(keyValue);
  await using runtime = await reachRuntime(flags);
  const { container } = await findContainer(runtime, name);
  await using session = await runtime.exec({
    containerId: container.id,
    cmd: command,
    envs,
    workingDir: workdir,
    user,
    tty,
    stdin: interactive,
    stderr: !tty,
    ...(tty && {
      terminalSize: { width: process.stdout.columns ?? 80, height: process.stdout.rows ?? 24 },
    }),
  });
  using _signals = forwardSignals(
    // A process that has ended meanwhile needs no signal.
    (signal) => void session.kill(signal).catch(() => undefined),
    () => void session.kill("SIGKILL").catch(() => undefined),
  );
  await joinTerminal(session, { hasInput: interactive, isTty: tty });
  const { exitCode } = await session.exit;
  return exitCode;
}

function keyValue(text: string): KeyValue {
  const at = text.indexOf("=");
  if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) };
  throw invalid("--env", "KEY=value", text);
}
