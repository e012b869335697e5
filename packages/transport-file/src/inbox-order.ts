import { join } from "node:path";
import type { FileCalls } from "./file-calls.ts";
import { readJobFile } from "./job-file.ts";
import { peek } from "./job-peek.ts";
import { turnTaker } from "./turn-taker.ts";

interface Ranked {
  readonly name: string;
  readonly priority: number;
  readonly createdAt: string;
}

export interface OrderOptions {
  readonly directory: string;
  readonly calls: FileCalls;
  readonly maxBytes: number;
}

/** Files read at a time, and how long that may hold up everything else */
const concurrency = 16;
const sliceMs = 10;

/** Names of job files by priority, age and name. One alone needs no order, and is not looked at. */
export async function inOrder(
  names: readonly string[],
  options: OrderOptions,
): Promise<readonly string[]> {
  if (names.length < 2) return names;
  const turns = turnTaker(sliceMs);
  const ranked: Ranked[] = [];
  const left = names.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const name of left) {
        await turns.take();
        ranked.push(await rank(name, options));
      }
    }),
  );
  ranked.sort(
    (a, b) =>
      b.priority - a.priority || compare(a.createdAt, b.createdAt) || compare(a.name, b.name),
  );
  return ranked.map(({ name }) => name);
}

async function rank(name: string, { directory, ...reading }: OrderOptions): Promise<Ranked> {
  try {
    const file = await readJobFile(join(directory, name), reading);
    const { priority = 5, createdAt = "" } =
      (file && peek(file.body, name.endsWith(".json"))) ?? {};
    return { name, priority, createdAt };
  } catch {
    // What cannot be read is refused when its turn comes.
    return { name, priority: 5, createdAt: "" };
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
