import type { AttachSession, TerminalSize } from "@longshore/core";
import type { Socket } from "node:net";
import { openConnection, type Connection, type FrameType } from "./connection.ts";
import { noInput, processInput, type ProcessInput } from "./input-writer.ts";
import { emptyStream, outputStream, type OutputStream } from "./output-stream.ts";

/** Which streams of a process are wanted. */
export interface WantedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** A connection to a monitor that carries the streams of one process. */
export interface ProcessStreams {
  readonly connection: Connection;
  readonly stdin: ProcessInput;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  resize(size: TerminalSize): Promise<void>;
  /** Resolves when both outputs are at their ends */
  readonly outputEnded: Promise<void>;
}

/** As the monitor reads them: bits for input, output and errors. */
export function streamBits({ stdin, stdout, stderr }: WantedStreams): number {
  return (stdin ? 1 : 0) | (stdout ? 2 : 0) | (stderr ? 4 : 0);
}

/** Takes a connection for streams; other messages go to `onOther`. */
export function processStreams(
  socket: Socket,
  wanted: WantedStreams,
  onOther: (type: FrameType, body: Buffer) => void = () => undefined,
): ProcessStreams {
  const connection = openConnection(socket, (type, body) => {
    if (type === "1") stdout.push(body);
    else if (type === "2") stderr.push(body);
    else if (type === "c") stdin.onTaken(body.readUInt32BE(0));
    else if (type === "z") endOf(body.toString("latin1") === "1" ? "1" : "2");
    else onOther(type, body);
  });
  const open = new Set<"1" | "2">();
  const outputEnded = Promise.withResolvers<void>();
  const output = (stream: "1" | "2", isWanted: boolean): OutputStream => {
    if (!isWanted) return emptyStream();
    open.add(stream);
    return outputStream({
      onRead: (bytes) => connection.send("c", credit(stream, bytes)),
      onLeave: () => connection.send("d", stream),
    });
  };
  const stdout = output("1", wanted.stdout);
  const stderr = output("2", wanted.stderr);
  const stdin = wanted.stdin
    ? processInput({
        send: (chunk) => connection.send("i", chunk),
        sendEnd: () => connection.send("e"),
      })
    : noInput();
  function endOf(stream: "1" | "2"): void {
    (stream === "1" ? stdout : stderr).end();
    open.delete(stream);
    if (open.size === 0) outputEnded.resolve();
  }
  if (open.size === 0) outputEnded.resolve();
  void connection.closed.then(() => {
    // The process outlived its streams: they end here all the same.
    stdin.close();
    stdout.end();
    stderr.end();
    outputEnded.resolve();
  });
  return {
    connection,
    stdin,
    stdout,
    stderr,
    async resize({ width, height }) {
      await connection.ask("w", [checkSize(width), checkSize(height)]);
    },
    outputEnded: outputEnded.promise,
  };
}

/** A watch on a container's first process. */
export function attachSession(streams: ProcessStreams, tty: boolean): AttachSession {
  const { connection, stdin, stdout, stderr, resize } = streams;
  return {
    stdin,
    stdout,
    stderr,
    async resize(size) {
      if (tty) await resize(size);
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
    },
  };
}

function credit(stream: "1" | "2", bytes: number): Buffer {
  const body = Buffer.alloc(5);
  body.write(stream, "latin1");
  body.writeUInt32BE(bytes, 1);
  return body;
}

function checkSize(size: number): number {
  if (Number.isInteger(size) && size >= 0 && size <= 0xff_ff) return size;
  throw new RangeError(`a terminal has 0 to 65535 columns and rows, got ${size}`);
}
