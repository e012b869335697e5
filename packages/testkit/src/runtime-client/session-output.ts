import type { ExecSession, StreamSession } from "@longshore/core";
import { expect } from "vitest";

/** All that a stream yields, as text. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Counts the bytes of a stream to its end. */
export async function countBytes(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const chunk of stream) count += chunk.length;
  return count;
}

/** Reads a stream as far as asked for, and goes on from there. */
export interface TextReader {
  /** Waits for some text, and answers all that was read up to now */
  until(text: string | RegExp): Promise<string>;
  /** Reads to the end, and answers all */
  rest(): Promise<string>;
}

export function textReader(stream: AsyncIterable<Uint8Array>): TextReader {
  const iterator = stream[Symbol.asyncIterator]();
  let text = "";
  const more = async (): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done === true) return false;
    text += Buffer.from(value).toString("latin1");
    return true;
  };
  return {
    async until(wanted) {
      const isThere = (): boolean =>
        typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
      while (!isThere()) {
        const isMore = await more();
        if (!isMore) expect.fail(`the stream ended with ${JSON.stringify(text.slice(-500))}`);
      }
      return text;
    },
    async rest() {
      while (await more());
      return text;
    },
  };
}

/** Reads both streams to the end. */
export async function readBoth(
  session: StreamSession,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const [stdout, stderr] = await Promise.all([readAll(session.stdout), readAll(session.stderr)]);
  return { stdout, stderr };
}

/** Output and end of a session. */
export async function finish(
  session: ExecSession,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }> {
  const [output, { exitCode }] = await Promise.all([readBoth(session), session.exit]);
  return { ...output, exitCode };
}
