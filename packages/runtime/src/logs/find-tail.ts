import type { FileHandle } from "node:fs/promises";
import { parseLogLine } from "./log-line.ts";

const chunkBytes = 65_536;
const newlineByte = 0x0a;
/** As much of a line as tells what it is */
const headBytes = 256;

/** Where the last lines of a file begin, and how many of those wanted it does not have. */
interface Tail {
  readonly offset: number;
  readonly missing: number;
}

/**
 * Looks for the place from which a file has so many complete lines of output: entries tagged F. The parts of a line belong
 * to it; so do those at the end whose line is not finished, without being counted.
 */
export async function findTail(file: FileHandle, wanted: number): Promise<Tail> {
  const { size } = await file.stat();
  let missing = wanted;
  let end = size;
  for await (const begin of lineStarts(file, size)) {
    if (await isWhole(file, begin, end)) {
      if (missing === 0) return { offset: end, missing };
      missing -= 1;
    }
    end = begin;
  }
  return { offset: 0, missing };
}

/** Where lines begin, the last one first, down to 0. */
async function* lineStarts(file: FileHandle, size: number): AsyncIterable<number> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - chunkBytes);
    await file.read(buffer, 0, end - start, start);
    for (let at = end - 1; at >= start; at -= 1) {
      if (buffer[at - start] === newlineByte && at + 1 < size) yield at + 1;
    }
    end = start;
  }
  if (size > 0) yield 0;
}

async function isWhole(file: FileHandle, begin: number, end: number): Promise<boolean> {
  const head = Buffer.alloc(Math.min(headBytes, end - begin));
  await file.read(head, 0, head.length, begin);
  const line = head.at(-1) === newlineByte ? head.subarray(0, -1) : head;
  return parseLogLine(line)?.isPartial === false;
}
