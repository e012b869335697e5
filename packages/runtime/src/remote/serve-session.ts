import type { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type {
  AttachSession,
  ExecSession,
  InputWriter,
  ProcessExit,
  SignalName,
  StreamSession,
  TerminalSize,
} from "@longshore/core";
import { outFlow, type OutFlow } from "./flow.ts";
import type { ChannelName, Message } from "./message.ts";
import type { MessageSocket } from "./message-socket.ts";
import { toWireError } from "./wire-error.ts";

/** A call whose streams are being carried. */
export interface ServedStreams {
  onMessage(message: Message): void;
  /** The client is gone: ends what it held. */
  close(): Promise<void>;
}

/** Carries the streams of a session to its client, and what the client wants of it back. */
export function serveSession(
  socket: MessageSocket,
  session: ExecSession | AttachSession,
): ServedStreams {
  const flows = new Map<ChannelName, OutFlow>();
  const input = inputQueue(session.stdin, socket);

  for (const channel of ["stdout", "stderr"] as const) {
    const flow = outFlow(socket, channel);
    flows.set(channel, flow);
    void pump(session[channel], flow);
  }
  if ("exit" in session) void sendExit(socket, session.exit);

  const end = async (): Promise<void> => {
    await input.settle();
    await endSession(session, flows);
  };
  const act = async ({ action, argument }: Message & { kind: "ask" }): Promise<void> => {
    switch (action) {
      case "resize":
        return session.resize(argument as TerminalSize);
      case "kill":
        return "kill" in session ? session.kill(argument as SignalName) : undefined;
      case "dispose":
        return end();
      default:
        return action satisfies never;
    }
  };

  return {
    onMessage(message) {
      if (message.kind === "credit") flows.get(message.channel)?.grant(message.bytes);
      else if (message.kind === "data") input.push(message.bytes);
      else if (message.kind === "end") input.end();
      else if (message.kind === "ask") void answer(socket, message.id, act(message));
    },
    close: end,
  };
}

/** Carries both directions of a forwarded port. */
export function serveConnection(socket: MessageSocket, connection: Duplex): ServedStreams {
  const flow = outFlow(socket, "stdout");
  const input = inputQueue(duplexWriter(connection), socket);
  void pump(connection, flow);
  const close = async (): Promise<void> => {
    flow.close();
    connection.destroy();
  };
  return {
    onMessage(message) {
      if (message.kind === "credit") flow.grant(message.bytes);
      else if (message.kind === "data") input.push(message.bytes);
      else if (message.kind === "end") input.end();
      else if (message.kind === "ask") void answer(socket, message.id, close());
    },
    close,
  };
}

async function endSession(
  session: StreamSession,
  flows: ReadonlyMap<ChannelName, OutFlow>,
): Promise<void> {
  for (const flow of flows.values()) flow.close();
  await session[Symbol.asyncDispose]();
}

async function answer(socket: MessageSocket, id: number, action: Promise<void>): Promise<void> {
  try {
    await action;
    await socket.send({ kind: "answer", id });
  } catch (error) {
    await socket.send({ kind: "answer", id, error: toWireError(error) });
  }
}

async function pump(source: AsyncIterable<Uint8Array>, flow: OutFlow): Promise<void> {
  try {
    for await (const chunk of source) await flow.write(chunk);
    await flow.end();
  } catch (error) {
    await flow.end(error);
  }
}

async function sendExit(socket: MessageSocket, exit: Promise<ProcessExit>): Promise<void> {
  try {
    await socket.send({ kind: "exit", value: await exit });
  } catch (error) {
    await socket.send({ kind: "exit", error: toWireError(error) });
  }
}

interface InputQueue {
  push(bytes: Uint8Array): void;
  end(): void;
  /** Resolves when all that can be handed over without waiting for the process has been */
  settle(): Promise<void>;
}

/** Writes input in its order, and lets the client send more as it is taken. */
function inputQueue(writer: InputWriter, socket: MessageSocket): InputQueue {
  let last = Promise.resolve();
  const enqueue = (step: () => Promise<void>): void => {
    // A process that does not want its input is no fault of the call.
    last = last.then(step).catch(() => undefined);
  };
  return {
    push(bytes) {
      enqueue(async () => {
        try {
          await writer.write(bytes);
        } finally {
          await socket.send({ kind: "credit", channel: "stdin", bytes: bytes.length });
        }
      });
    },
    end: () =>
      enqueue(async () => {
        try {
          await writer.end();
        } finally {
          await socket.send({ kind: "credit", channel: "stdin", bytes: 0 });
        }
      }),
    settle: () => Promise.race([last, nextTurn()]),
  };
}

function duplexWriter(connection: Duplex): InputWriter {
  return {
    write(chunk) {
      if (!connection.writable || connection.write(chunk)) return Promise.resolve();
      return new Promise((resolve) => {
        const done = (): void => {
          connection.off("drain", done).off("close", done);
          resolve();
        };
        connection.once("drain", done).once("close", done);
      });
    },
    async end() {
      connection.end();
    },
  };
}
