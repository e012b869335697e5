import type { ContainerEvent, RuntimeClient } from "@longshore/core";
import { LongshoreError, type Abortable } from "@longshore/core";
import { call, connect, type RemoteConnection } from "./remote-call.ts";
import { remoteConnection, remoteSession } from "./remote-session.ts";
import { methodForm } from "./runtime-methods.ts";

export interface ConnectRuntimeOptions extends Abortable {
  /** Unix socket where `serveRuntime` listens */
  readonly path: string;
}

/** Connections that wait for the next call. */
const maxIdle = 4;
/** As `RuntimeClient.getContainerEvents` says */
const maxWaitingEvents = 1_000;

/**
 * Uses a runtime of another process on this machine. It has the methods which that runtime has; its calls behave alike, and
 * reject with `RUNTIME_UNAVAILABLE` when the other process ends. Disposing ends the sessions held here, never the runtime.
 *
 * @throws {LongshoreError} `RUNTIME_UNAVAILABLE` when nobody serves the path
 */
export async function connectRuntime(options: ConnectRuntimeOptions): Promise<RuntimeClient> {
  const { path, signal: opening } = options;
  const first = await connect(path, opening);
  const idle: RemoteConnection[] = [];
  const held = new Set<RemoteConnection>();
  let isClosed = false;

  const release = (connection: RemoteConnection): void => {
    held.delete(connection);
    const { socket } = connection;
    if (isClosed || socket.isClosed() || idle.length >= maxIdle) {
      socket.close();
      return;
    }
    socket.setKeepsAlive(false);
    connection.receive(
      () => socket.close(),
      () => {
        const index = idle.indexOf(connection);
        if (index !== -1) idle.splice(index, 1);
      },
    );
    idle.push(connection);
  };
  release(first);

  const acquire = async (signal?: AbortSignal): Promise<RemoteConnection> => {
    signal?.throwIfAborted();
    if (isClosed) throw new LongshoreError("RUNTIME_UNAVAILABLE", "The runtime client is closed.");
    const connection = idle.pop() ?? (await connect(path, signal));
    connection.socket.setKeepsAlive(true);
    held.add(connection);
    return connection;
  };

  const unary = async (
    message: { readonly method: string; readonly request?: unknown },
    signal?: AbortSignal,
  ): Promise<unknown> => {
    const connection = await acquire(signal);
    try {
      return await call(connection, message, { signal });
    } finally {
      release(connection);
    }
  };

  /** Keeps the connection for the streams that the call opens. */
  const open = async <Streams>(
    message: { readonly method: string; readonly request?: unknown },
    { signal, wrap }: { signal?: AbortSignal | undefined; wrap(c: RemoteConnection): Streams },
  ): Promise<Streams> => {
    const connection = await acquire(signal);
    const opened: Streams[] = [];
    try {
      await call(connection, message, { signal, onResult: () => opened.push(wrap(connection)) });
    } catch (error) {
      release(connection);
      throw error;
    }
    const [streams] = opened;
    if (streams === undefined) throw new TypeError(`${message.method} opened no streams`);
    void connection.closed.then(() => held.delete(connection));
    return streams;
  };

  async function* events({ signal }: Abortable = {}): AsyncGenerator<ContainerEvent> {
    if (signal?.aborted === true) return;
    const connection = await acquire();
    const waiting: ContainerEvent[] = [];
    const state: { wake?: () => void; isOver: boolean; error?: unknown } = { isOver: false };
    const finish = (error?: unknown): void => {
      if (!state.isOver) Object.assign(state, { isOver: true, error });
      state.wake?.();
    };
    const onItem = (value: unknown): void => {
      waiting.push(value as ContainerEvent);
      if (waiting.length > maxWaitingEvents) finish(tooFarBehind());
      state.wake?.();
    };
    const done = call(connection, { method: "getContainerEvents" }, { signal, onItem }).then(
      () => finish(),
      // An abort ends the events without an error.
      (error: unknown) => finish(signal?.aborted === true ? undefined : error),
    );
    try {
      for (;;) {
        if (state.error !== undefined) await Promise.reject(state.error);
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else if (state.isOver) return;
        else await new Promise<void>((resolve) => (state.wake = resolve));
      }
    } finally {
      // A connection whose call has not ended cannot be used again; closing it ends the call.
      held.delete(connection);
      connection.socket.close();
      await done;
    }
  }

  const methods = Object.fromEntries(
    first.methods.flatMap((method) => {
      const form = methodForm(method);
      if (form === undefined || form === "absent") return [];
      const one = (request: unknown, { signal }: Abortable = {}): unknown => {
        switch (form) {
          case "plain":
            return unary({ method }, (request as Abortable | undefined)?.signal);
          case "request":
            return unary({ method, request }, signal);
          case "session": {
            // Who watches a process may write to it though its outputs are over, or not wanted.
            const { stdin } = (request ?? {}) as { readonly stdin?: boolean };
            const ends =
              method === "exec" ? (["exit"] as const) : stdin === true ? (["stdin"] as const) : [];
            const wrap = (connection: RemoteConnection): unknown => remoteSession(connection, ends);
            return open({ method, request }, { signal, wrap });
          }
          case "connection":
            return open({ method, request }, { signal, wrap: remoteConnection });
          case "items":
            return events(request as Abortable | undefined);
          default:
            return form satisfies never;
        }
      };
      return [[method, one]];
    }),
  );

  return {
    // The names come from the table, whose keys are those of the contract.
    ...(methods as unknown as Omit<RuntimeClient, typeof Symbol.asyncDispose>),
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const { socket } of [...idle, ...held]) socket.close();
    },
  };
}

function tooFarBehind(): LongshoreError {
  return new LongshoreError(
    "LIMIT_EXCEEDED",
    `The reader is more than ${maxWaitingEvents} events behind; list and begin again.`,
  );
}
