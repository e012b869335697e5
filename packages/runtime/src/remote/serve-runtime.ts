import { chmod, mkdir, unlink } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { LongshoreError, type RuntimeClient } from "@longshore/core";
import { within } from "../engine/turn-queue.ts";
import { messageSocket, type MessageSocket } from "./message-socket.ts";
import { protocolVersion, type Message } from "./message.ts";
import { methodForm, runtimeMethods } from "./runtime-methods.ts";
import { serveConnection, serveSession, type ServedStreams } from "./serve-session.ts";
import { toWireError } from "./wire-error.ts";

/** How long the calls and sessions of clients may take to end when the server closes */
const closePatienceMs = 15_000;

export interface ServeRuntimeOptions {
  /** Unix socket; one that nobody serves any more is replaced. At most 107 bytes long */
  readonly path: string;
  /** Told whenever the number of connected clients changes */
  readonly onClients?: ((count: number) => void) | undefined;
}

/** A runtime that other processes reach. Disposing ends their sessions; the runtime itself stays open. */
export interface RuntimeServer extends AsyncDisposable {
  readonly path: string;
}

/**
 * Lets other processes of the same user use a runtime of this one, by `connectRuntime`. What a client holds ends with its
 * connection: commands it started are killed, calls it waits for are aborted.
 *
 * The caller makes sure that no other process serves the path.
 *
 * @throws {LongshoreError} `IO_ERROR`
 */
export async function serveRuntime(
  runtime: RuntimeClient,
  { path, onClients }: ServeRuntimeOptions,
): Promise<RuntimeServer> {
  const methods = Object.entries(runtimeMethods)
    .filter(([name, form]) => form !== "absent" && isOffered(runtime, name))
    .map(([name]) => name);
  const sockets = new Set<Socket>();
  const endings = new Set<Promise<void>>();

  const server = createServer((socket) => {
    sockets.add(socket);
    onClients?.(sockets.size);
    const messages = messageSocket(socket);
    const client = serveClient(runtime, messages);
    const ended = new Promise<void>((resolve) => {
      messages.listen(client.onMessage, () => {
        sockets.delete(socket);
        onClients?.(sockets.size);
        resolve(client.close());
      });
    });
    endings.add(ended);
    void ended.then(() => endings.delete(ended));
    void messages.send({ kind: "hello", protocol: protocolVersion, methods });
  });

  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      // Nobody else may connect even before the mode is set: the mask takes effect when the socket is made.
      const mask = process.umask(0o177);
      try {
        server.listen(path, resolve);
      } finally {
        process.umask(mask);
      }
    });
    await chmod(path, 0o600);
  } catch (error) {
    throw new LongshoreError("IO_ERROR", `The runtime cannot be served at ${path}.`, {
      cause: error,
    });
  }

  return {
    path,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      // What hangs in the runtime must not hang its server.
      await within(Promise.all(endings), closePatienceMs);
    },
  };
}

function isOffered(runtime: RuntimeClient, name: string): boolean {
  return typeof Reflect.get(runtime, name) === "function";
}

/** One connection: calls one after the other, the last of which may have streams. */
function serveClient(
  runtime: RuntimeClient,
  socket: MessageSocket,
): { onMessage(message: Message): void; close(): Promise<void> } {
  let running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  let streams: ServedStreams | undefined;

  const run = async (call: Call): Promise<void> => {
    try {
      streams = await serveCall(call);
    } catch (error) {
      await socket.send({ kind: "error", error: toWireError(error) });
    }
  };

  const begin = (method: string, request: unknown): void => {
    if (running !== undefined || streams !== undefined) {
      socket.close();
      return;
    }
    const abort = new AbortController();
    const call = { runtime, socket, method, request, signal: abort.signal };
    running = { abort, done: run(call).finally(() => (running = undefined)) };
  };

  return {
    onMessage(message) {
      if (message.kind === "call") begin(message.method, message.request);
      else if (message.kind === "abort") running?.abort.abort(abortReason());
      else streams?.onMessage(message);
    },
    async close() {
      running?.abort.abort(abortReason());
      await running?.done;
      // A session that is gone, or cannot be ended, concerns nobody any more.
      await streams?.close().catch(() => undefined);
    },
  };
}

function abortReason(): LongshoreError {
  return new LongshoreError("CANCELLED", "The client does not wait for the answer any more.");
}

interface Call {
  readonly runtime: RuntimeClient;
  readonly socket: MessageSocket;
  readonly method: string;
  readonly request: unknown;
  readonly signal: AbortSignal;
}

/** Runs a call and sends its answer; resolves to its streams when it has any. */
async function serveCall(call: Call): Promise<ServedStreams | undefined> {
  const { runtime, socket, method, request, signal } = call;
  const form = methodForm(method);
  const implementation: unknown = Reflect.get(runtime, method);
  if (form === undefined || form === "absent" || typeof implementation !== "function") {
    throw new LongshoreError("RUNTIME_NOT_SUPPORTED", `The runtime has no ${method}.`);
  }
  // The runtime checks its requests itself, as it does with those of its own program.
  const invoke = (...args: readonly unknown[]): unknown =>
    Reflect.apply(implementation, runtime, args);
  const answer = (value: unknown): Promise<void> => socket.send({ kind: "result", value });

  switch (form) {
    case "plain":
      await answer(await invoke({ signal }));
      return undefined;
    case "request":
      // MessagePack has no `undefined`.
      await answer(await invoke(request ?? undefined, { signal }));
      return undefined;
    case "session": {
      const session = (await invoke(request, { signal })) as Parameters<typeof serveSession>[1];
      if (signal.aborted) await session[Symbol.asyncDispose]();
      signal.throwIfAborted();
      // The answer goes first; the streams follow it in the same turn, so that no message of theirs is missed.
      void answer(null);
      return serveSession(socket, session);
    }
    case "connection": {
      const connection = (await invoke(request, { signal })) as Duplex;
      if (signal.aborted) connection.destroy();
      signal.throwIfAborted();
      void answer(null);
      return serveConnection(socket, connection);
    }
    case "items": {
      const items = invoke({ signal }) as AsyncIterable<unknown>;
      for await (const value of items) await socket.send({ kind: "item", value });
      await answer(null);
      return undefined;
    }
    default:
      return form satisfies never;
  }
}
