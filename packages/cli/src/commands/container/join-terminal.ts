import type { StreamSession } from "@longshore/core";

export interface JoinOptions {
  /** Whether this process's input goes to the session */
  readonly hasInput: boolean;
  /** Whether both ends are terminals: keys go through as they are pressed, and the size is kept alike */
  readonly isTty: boolean;
}

/**
 * Connects a session with this process's standard streams until its output ends. The terminal is put back as it was.
 */
export async function joinTerminal(
  session: StreamSession,
  { hasInput, isTty }: JoinOptions,
): Promise<void> {
  const isRaw = isTty && process.stdin.isTTY;
  const resize = (): void => {
    const { columns, rows } = process.stdout;
    // A process that has just ended has no size to set.
    session.resize({ width: columns, height: rows }).catch(() => undefined);
  };
  if (isRaw) process.stdin.setRawMode(true);
  if (isTty && process.stdout.isTTY) {
    resize();
    process.stdout.on("resize", resize);
  }
  const input = new AbortController();
  if (hasInput) void feed(session, input.signal);
  try {
    await Promise.all([copy(session.stdout, process.stdout), copy(session.stderr, process.stderr)]);
  } finally {
    input.abort();
    process.stdout.off("resize", resize);
    if (isRaw) process.stdin.setRawMode(false);
    if (hasInput) {
      process.stdin.pause();
      process.stdin.unref();
    }
  }
}

/** Input goes on until its end, or until the session is over; it is read no faster than it is taken. */
async function feed(session: StreamSession, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      if (signal.aborted) return;
      await session.stdin.write(chunk);
    }
    await session.stdin.end();
  } catch (error) {
    // What is broken shows where the output is read; input that is cut off for it is no news.
    if (!signal.aborted) process.stderr.write(`longshore: input: ${String(error)}\n`);
  }
}

async function copy(source: AsyncIterable<Uint8Array>, target: NodeJS.WriteStream): Promise<void> {
  let isGone = false;
  const onError = (): void => {
    isGone = true;
  };
  target.on("error", onError);
  try {
    for await (const chunk of source) {
      if (isGone || target.write(chunk)) continue;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          target.off("drain", done).off("error", done).off("close", done);
          resolve();
        };
        target.once("drain", done).once("error", done).once("close", done);
      });
    }
  } finally {
    target.off("error", onError);
  }
}
