import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasCode, LongshoreError, type Logger } from "@longshore/core";
import { removeDrafts, syncDirectory, writeWhole } from "@longshore/core/files";
import { z } from "zod";
import { lockDirectory } from "./directory-lock.ts";
import { leaseIdSchema } from "./messages.ts";

/** What a worker has to tell its master of a job, for good. */
export interface Answer {
  readonly leaseId: string;
  readonly kind: "ack" | "nack";
  /** The message, in wire names */
  readonly body: object;
}

/** Answers on the disk, until the master has them. Disposing gives the directory back. */
export interface AnswerSpool extends AsyncDisposable {
  /** Name of this process of the worker, and of the one that used the directory before */
  readonly instanceId: string;
  readonly previousInstanceId: string | undefined;
  /** Leases whose answers are on the disk, oldest first */
  readonly leaseIds: readonly string[];
  readonly isFull: boolean;
  /**
   * Resolves once the answer would outlive a power cut.
   *
   * @throws {LongshoreError} `TRANSPORT_ERROR` when there is no room, or the disk fails
   */
  put(answer: Answer): Promise<void>;
  /** `undefined` when it is not there, or not what was written. */
  read(leaseId: string): Promise<Answer | undefined>;
  remove(leaseId: string): Promise<void>;
  /** Keeps an answer for people to look at that the master will never take. */
  setAside(leaseId: string): Promise<void>;
}

export interface AnswerSpoolOptions {
  readonly directory: string;
  /** Whose answers they are */
  readonly url: string;
  readonly workerId: string;
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** Answers that may wait */
const maxAnswers = 10_000;
/** Refused answers that are kept for people */
const keptRefusals = 100;

const answerSchema = z.object({
  version: z.literal(1),
  lease_id: leaseIdSchema,
  kind: z.enum(["ack", "nack"]),
  body: z.record(z.string(), z.unknown()),
});
const workerSchema = z.object({
  version: z.literal(1),
  url: z.string(),
  worker_id: z.string(),
  instance_id: z.string().max(64),
});

interface Entry {
  readonly path: string;
  readonly byteLength: number;
}

/**
 * Takes a directory for this process and finds what earlier ones left in it.
 *
 * @throws {LongshoreError} `WORKER_ID_IN_USE`; `CONFIG_ERROR` when answers for another master wait in it;
 *   `TRANSPORT_ERROR` when it cannot be used
 */
export async function openAnswerSpool(options: AnswerSpoolOptions): Promise<AnswerSpool> {
  const { directory, url, workerId, logger, maxBytes } = options;
  const waiting = join(directory, "answers");
  const refused = join(directory, "refused");
  await guard(() => mkdir(waiting, { recursive: true, mode: 0o700 }));
  await guard(() => mkdir(refused, { recursive: true, mode: 0o700 }));
  const lock = await guard(() => lockDirectory(directory));
  const entries = new Map<string, Entry>();
  let byteLength = 0;
  const instanceId = randomUUID();
  let previousInstanceId: string | undefined;

  try {
    await guard(load);
    previousInstanceId = await guard(takeOver);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }

  async function load(): Promise<void> {
    // The directory is locked: nobody else writes there.
    await removeDrafts(waiting, 0);
    const found: { readonly answer: Answer; readonly entry: Entry; readonly atMs: number }[] = [];
    for (const name of await readdir(waiting)) {
      const path = join(waiting, name);
      const { size, mtimeMs } = await stat(path);
      const answer = await readAnswer(path);
      if (answer === undefined || pathOf(answer.leaseId) !== path) {
        logger.error({ path }, "not an answer; set aside");
        await rename(path, join(refused, name));
        continue;
      }
      found.push({ answer, entry: { path, byteLength: size }, atMs: mtimeMs });
    }
    for (const { answer, entry } of found.toSorted((a, b) => a.atMs - b.atMs)) {
      entries.set(answer.leaseId, entry);
      byteLength += entry.byteLength;
    }
  }

  /** Writes down whose the directory is now, and returns which process's it was before. */
  async function takeOver(): Promise<string | undefined> {
    const path = join(directory, "worker.json");
    const before = workerSchema.safeParse(await readJson(path)).data;
    if (before !== undefined && before.url !== url && entries.size > 0) {
      throw new LongshoreError(
        "CONFIG_ERROR",
        `${entries.size} answers for ${before.url} wait in ${directory}: poll that master until it has them, or name another directory.`,
        { details: { directory, url: before.url } },
      );
    }
    const now = { version: 1, url, worker_id: workerId, instance_id: instanceId };
    await keep(path, JSON.stringify(now));
    return before?.worker_id === workerId ? before.instance_id : undefined;
  }

  function pathOf(leaseId: string): string {
    // The name is another's: what becomes part of a path is made of it here.
    return join(waiting, `${createHash("sha256").update(leaseId).digest("hex")}.json`);
  }

  function forget(leaseId: string): Entry | undefined {
    const entry = entries.get(leaseId);
    if (entry === undefined) return undefined;
    entries.delete(leaseId);
    byteLength -= entry.byteLength;
    return entry;
  }

  return {
    instanceId,
    previousInstanceId,
    get leaseIds() {
      return [...entries.keys()];
    },
    get isFull() {
      return byteLength >= maxBytes || entries.size >= maxAnswers;
    },
    async put({ leaseId, kind, body }) {
      const text = JSON.stringify({ version: 1, lease_id: leaseId, kind, body });
      const size = Buffer.byteLength(text);
      const known = forget(leaseId);
      if (byteLength + size > maxBytes || entries.size >= maxAnswers) {
        if (known !== undefined) restore(leaseId, known);
        throw full(directory, { size, byteLength, maxBytes });
      }
      const path = pathOf(leaseId);
      restore(leaseId, { path, byteLength: size });
      try {
        await guard(() => keep(path, text));
      } catch (error) {
        if (known === undefined) forget(leaseId);
        throw error;
      }
    },
    read: (leaseId) => readAnswer(pathOf(leaseId)),
    async remove(leaseId) {
      const entry = forget(leaseId);
      if (entry !== undefined) await rm(entry.path, { force: true });
    },
    async setAside(leaseId) {
      const entry = forget(leaseId);
      if (entry === undefined) return;
      const names = await readdir(refused);
      for (const name of names.slice(0, Math.max(0, names.length - keptRefusals + 1))) {
        await rm(join(refused, name), { force: true });
      }
      await rename(entry.path, join(refused, `${Date.now()}-${randomUUID()}.json`));
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };

  function restore(leaseId: string, entry: Entry): void {
    entries.set(leaseId, entry);
    byteLength += entry.byteLength;
  }

  async function guard<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof LongshoreError) throw error;
      throw new LongshoreError(
        "TRANSPORT_ERROR",
        `The directory of answers ${directory} cannot be used.`,
        { cause: error, details: { directory } },
      );
    }
  }
}

/** Resolves once the file would outlive a power cut. */
async function keep(path: string, content: string): Promise<void> {
  await writeWhole(path, content);
  await syncDirectory(dirname(path));
}

async function readAnswer(path: string): Promise<Answer | undefined> {
  const parsed = answerSchema.safeParse(await readJson(path));
  if (!parsed.success) return undefined;
  const { lease_id: leaseId, kind, body } = parsed.data;
  return { leaseId, kind, body };
}

/** `undefined` when there is no such file, or it is no JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, "ENOENT", "EISDIR")) return undefined;
    throw error;
  }
}

function full(
  directory: string,
  sizes: { readonly size: number; readonly byteLength: number; readonly maxBytes: number },
): LongshoreError {
  return new LongshoreError(
    "TRANSPORT_ERROR",
    `There is no room in ${directory} for an answer of ${sizes.size} bytes: ${sizes.byteLength} of ${sizes.maxBytes} wait for the master.`,
    { details: { directory, ...sizes } },
  );
}
