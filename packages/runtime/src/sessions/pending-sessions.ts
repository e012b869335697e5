import type { AttachRequest, AttachSession, TerminalSize } from "@longshore/core";

type SessionRequest = Omit<AttachRequest, "containerId">;

/**
 * Sessions that were attached to a container before its start. They become real when it starts, and end with nothing when
 * it never does.
 */
export interface PendingSessions {
  add(request: SessionRequest): AttachSession;
  /** What the sessions that still wait ask for; a start that fails and may be tried again leaves them waiting. */
  requests(): readonly SessionRequest[];
  /** The size of terminal that was asked for last, so that the process has it when it looks first. */
  terminalSize(): TerminalSize | undefined;
  /** The driver's sessions, in the order of the last {@link requests}. */
  begin(sessions: readonly AttachSession[]): Promise<void>;
  /** Ends those that wait. Idempotent. */
  end(): void;
}

interface Pending {
  readonly request: SessionRequest;
  /** `undefined`: there will be none */
  readonly real: PromiseWithResolvers<AttachSession | undefined>;
  size?: TerminalSize;
  isLeft: boolean;
}

export function pendingSessions(): PendingSessions {
  let waiting: Pending[] = [];
  let asked: readonly Pending[] = [];
  return {
    add(request) {
      const pending: Pending = { request, real: Promise.withResolvers(), isLeft: false };
      waiting.push(pending);
      return session(pending, () => {
        waiting = waiting.filter((one) => one !== pending);
      });
    },
    requests() {
      asked = [...waiting];
      return asked.map(({ request }) => request);
    },
    terminalSize: () => waiting.findLast(({ size }) => size !== undefined)?.size,
    async begin(sessions) {
      const begun = asked;
      asked = [];
      waiting = waiting.filter((one) => !begun.includes(one));
      await Promise.all(
        begun.map(async ({ real, size, isLeft }, index) => {
          const one = sessions[index];
          real.resolve(one);
          if (isLeft) await one?.[Symbol.asyncDispose]();
          // A process that has ended already needs no size.
          else if (size !== undefined) await one?.resize(size).catch(() => undefined);
        }),
      );
      // Whoever came while the container was started is as late as one who comes now: nothing is repeated for him.
    },
    end() {
      for (const { real } of waiting) real.resolve(undefined);
      waiting = [];
      asked = [];
    },
  };
}

function session(pending: Pending, forget: () => void): AttachSession {
  const { promise } = pending.real;
  return {
    stdin: {
      async write(chunk) {
        await (await promise)?.stdin.write(chunk);
      },
      async end() {
        await (await promise)?.stdin.end();
      },
    },
    stdout: later(promise.then((real) => real?.stdout)),
    stderr: later(promise.then((real) => real?.stderr)),
    async resize(size) {
      pending.size = size;
      // Not waited for: before the start there is nothing to wait for.
      void promise.then((real) => real?.resize(size)).catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      if (pending.isLeft) return;
      pending.isLeft = true;
      forget();
      pending.real.resolve(undefined);
      await (await promise)?.[Symbol.asyncDispose]();
    },
  };
}

async function* later(
  source: Promise<AsyncIterable<Uint8Array> | undefined>,
): AsyncIterable<Uint8Array> {
  const real = await source;
  if (real !== undefined) yield* real;
}
