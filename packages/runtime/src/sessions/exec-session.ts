import {
  LongshoreError,
  type AttachSession,
  type DriverProcess,
  type ExecSession,
  type ProcessExit,
} from "@longshore/core";

/** A driver's process as the caller sees it. What was not asked for is read and thrown away, so that nobody waits for it. */
export function execSession(
  process: DriverProcess,
  wanted: { readonly stdout: boolean; readonly stderr: boolean },
): ExecSession {
  const exit = process.exit.then(
    ({ exitCode, signal }): ProcessExit => ({ exitCode, ...(signal !== undefined && { signal }) }),
    (error: unknown) => {
      throw lost(error);
    },
  );
  exit.catch(() => undefined);
  const stream = (isWanted: boolean, source: AsyncIterable<Uint8Array>) => {
    if (isWanted) return source;
    discard(source).catch(() => undefined);
    return nothing();
  };
  return {
    stdin: process.stdin,
    stdout: stream(wanted.stdout, process.stdout),
    stderr: stream(wanted.stderr, process.stderr),
    exit,
    resize: (size) => process.resize(size),
    kill: (signal = "SIGTERM") => process.signal(signal),
    [Symbol.asyncDispose]: () => process.kill(),
  };
}

/** A session whose end is the end of the container's input. */
export function endingInput(session: AttachSession): AttachSession {
  return {
    ...session,
    async [Symbol.asyncDispose]() {
      await session.stdin.end();
      await session[Symbol.asyncDispose]();
    },
  };
}

/** Why the end of a process is not known. */
export function lost(error: unknown): Error {
  if (error instanceof LongshoreError && error.code === "RUNTIME_UNAVAILABLE") return error;
  return new LongshoreError("RUNTIME_UNAVAILABLE", "The end of the process cannot be learned.", {
    cause: error,
  });
}

async function discard(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of source);
}

async function* nothing(): AsyncIterable<Uint8Array> {}
