import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { hasCode, LongshoreError } from "@longshore/core/errors";
import { writeWhole } from "@longshore/core/files";
import { z } from "zod";

/** Neighbouring chunks of one blob. */
export interface ChunkRun {
  readonly blobId: string;
  /** Number of the first chunk */
  readonly first: number;
  readonly count: number;
}

/** Chunks in the order in which they should be fetched. */
export type PrefetchList = readonly ChunkRun[];

const maxFileBytes = 8 * 1_048_576;
const maxRuns = 65_536;
const maxChunk = 2 ** 24;

const fileSchema = z.object({
  version: z.literal(1),
  blobs: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(maxRuns),
  /** Position of the blob, first chunk, number of chunks */
  runs: z
    .array(
      z.tuple([
        z.int().nonnegative(),
        z.int().nonnegative().max(maxChunk),
        z.int().positive().max(maxChunk),
      ]),
    )
    .max(maxRuns),
});

/** Adds a chunk behind a list, to the last run where it continues it. */
export function appendChunk(runs: ChunkRun[], blobId: string, index: number): void {
  const last = runs.at(-1);
  if (last?.blobId === blobId && last.first + last.count === index) {
    runs[runs.length - 1] = { ...last, count: last.count + 1 };
  } else {
    runs.push({ blobId, first: index, count: 1 });
  }
}

/** Writes a list as a file, in place of an older one. */
export async function writePrefetchList(path: string, list: PrefetchList): Promise<void> {
  const positions = new Map<string, number>();
  const runs = list.slice(0, maxRuns).map(({ blobId, first, count }) => {
    const position = positions.get(blobId) ?? positions.size;
    positions.set(blobId, position);
    return [position, first, count];
  });
  const file = { version: 1, blobs: [...positions.keys()], runs };
  await writeWhole(path, `${JSON.stringify(file)}\n`);
}

/**
 * Reads a list that {@link writePrefetchList} wrote.
 *
 * @returns `undefined` when there is no file
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is something else
 */
export async function readPrefetchList(path: string): Promise<PrefetchList | undefined> {
  const text = await readBounded(path);
  if (text === undefined) return undefined;
  const { blobs, runs } = parseList(text, path);
  return runs.map(([position, first, count]) => {
    const blobId = blobs[position];
    if (blobId === undefined) throw notAList(path);
    return { blobId, first, count };
  });
}

async function readBounded(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > maxFileBytes) throw notAList(path);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function parseList(text: string, path: string): z.infer<typeof fileSchema> {
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw notAList(path, { cause });
  }
}

function notAList(path: string, options: ErrorOptions = {}): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${path} is no list of chunks to prefetch.`, {
    ...options,
    details: { field: "path", expected: "a prefetch list of version 1", path },
  });
}
