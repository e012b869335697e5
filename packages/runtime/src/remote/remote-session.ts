import { Duplex } from "node:stream";
import type { ExecSession, LongshoreError, ProcessExit, TerminalSize } from "@longshore/core";
import { inFlow, outFlow } from "./flow.ts";
import type { ChannelName, Message } from "./message.ts";
import type { RemoteConnection } from "./remote-call.ts";
import { fromWireError } from "./wire-error.ts";

type Action = (Message & { kind: "ask" })["action"];

/** What must have come to its end, beside the outputs, before a session needs its connection no more. */
type SessionEnd = "exit" | "stdin";

/**
 * The client's side of a call with streams. It is an `ExecSession`; for an attached session and a forwarded port the parts
 * that they do not have never answer.
 */
export function remoteSession(
  connection: RemoteConnection,
  ends: readonly SessionEnd[],
): ExecSession {
  const { socket, receive } = connection;
  const exit = Promise.withResolvers<ProcessExit>();
  // Nobody needs to look.
  exit.promise.catch(() => undefined);
  const input = outFlow(socket, "stdin");
  const inputEnded = Promise.withResolvers<void>();
  const outputs = { stdout: reader("stdout"), stderr: reader("stderr") };
  const open = new Set<string>(["stdout", "stderr", ...ends]);
  const asked = new Map<number, PromiseWithResolvers<void>>();
  let lastAsked = 0;
  let lost: LongshoreError | undefined;

  function reader(channel: ChannelName): ReturnType<typeof inFlow> {
    return inFlow((bytes) => void socket.send({ kind: "credit", channel, bytes }));
  }

  const closeInput = (): void => {
    input.close();
    inputEnded.resolve();
  };
  /** With all that it waits for at its end there is nothing to hold the connection for. */
  const settle = (part: string): void => {
    open.delete(part);
    if (open.size > 0) return;
    closeInput();
    socket.close();
  };

  const onMessage = (message: Message): void => {
    switch (message.kind) {
      case "data":
        if (message.channel !== "stdin") outputs[message.channel].push(message.bytes);
        return;
      case "end":
        if (message.channel === "stdin") return;
        outputs[message.channel].end(message.error && fromWireError(message.error));
        settle(message.channel);
        return;
      case "credit":
        if (message.bytes === 0) inputEnded.resolve();
        else input.grant(message.bytes);
        return;
      case "exit":
        if (message.error === undefined || message.error === null) {
          exit.resolve(message.value as ProcessExit);
        } else {
          exit.reject(fromWireError(message.error));
        }
        settle("exit");
        return;
      case "answer": {
        const waiting = asked.get(message.id);
        asked.delete(message.id);
        if (message.error === undefined || message.error === null) waiting?.resolve();
        else waiting?.reject(fromWireError(message.error));
        return;
      }
      case "hello":
      case "call":
      case "abort":
      case "result":
      case "error":
      case "item":
      case "ask":
        // Not part of a session.
        return;
      default:
        message satisfies never;
    }
  };

  receive(onMessage, (error) => {
    lost = error;
    closeInput();
    outputs.stdout.end(error);
    outputs.stderr.end(error);
    exit.reject(error);
    for (const waiting of asked.values()) waiting.resolve();
  });

  /** Wanting something of a session that is over is no error. */
  const ask = async (action: Action, argument?: unknown): Promise<void> => {
    if (lost !== undefined || socket.isClosed()) return;
    lastAsked += 1;
    const waiting = Promise.withResolvers<void>();
    asked.set(lastAsked, waiting);
    await socket.send({ kind: "ask", id: lastAsked, action, argument });
    await waiting.promise;
  };

  return {
    stdin: {
      async write(chunk) {
        await input.write(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
        // Disposing the session next must not overtake what the runtime has not taken yet.
        await input.taken();
      },
      async end() {
        await input.end();
        await inputEnded.promise;
        settle("stdin");
      },
    },
    stdout: outputs.stdout,
    stderr: outputs.stderr,
    exit: exit.promise,
    resize: (size: TerminalSize) => ask("resize", size),
    kill: (signal = "SIGTERM") => ask("kill", signal),
    async [Symbol.asyncDispose]() {
      try {
        await ask("dispose");
      } finally {
        outputs.stdout.end();
        outputs.stderr.end();
        socket.close();
      }
    },
  };
}

/** The client's side of a forwarded port. */
export function remoteConnection(connection: RemoteConnection): Duplex {
  const session = remoteSession(connection, ["exit"]);
  const duplex = Duplex.from({ readable: session.stdout, writable: writeInto });
  // A stream made of two says AbortError when its reader destroys it; nobody need listen for that.
  duplex.on("error", () => undefined);
  async function writeInto(source: AsyncIterable<Uint8Array | string>): Promise<void> {
    for await (const chunk of source) await session.stdin.write(chunk);
    await session.stdin.end();
  }
  // Disposing cannot reject here but for a connection that is gone already.
  duplex.once("close", () => {
    Promise.resolve(session[Symbol.asyncDispose]()).catch(() => undefined);
  });
  return duplex;
}
