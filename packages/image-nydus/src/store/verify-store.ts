import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { validateRafs } from "../rafs/validate-rafs.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { StoreLayout } from "./store-layout.ts";

/** A file of the store that is not what it should be. */
export interface BlobProblem {
  readonly blobId: string;
  readonly kind: "data" | "bootstrap";
  readonly problem: "missing" | "changed" | "invalid";
  /** One sentence for a person */
  readonly message: string;
  /** Ids of the images that need the file */
  readonly images: readonly string[];
}

export interface VerifyProgress {
  readonly checkedBytes: number;
  readonly totalBytes: number;
}

export interface VerifyOptions extends Abortable {
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** What a look at every byte of the store has found. */
export interface StoreReport {
  readonly checkedBlobs: number;
  readonly checkedBytes: number;
  readonly problems: readonly BlobProblem[];
}

const pieceSize = 4 * 1_048_576;

/** Reads every file of the store and compares it with its digest; of bootstraps also every rule of the format. */
export async function verifyStore(
  database: ImageDatabase,
  layout: StoreLayout,
  { signal, onProgress }: VerifyOptions = {},
): Promise<StoreReport> {
  const blobs = database.blobs().filter(({ kind }) => kind !== "remote");
  const totalBytes = blobs.reduce((sum, { storedSize }) => sum + storedSize, 0);
  const users = imagesOfBlobs(database);
  const problems: BlobProblem[] = [];
  let checkedBytes = 0;
  for (const { blobId, kind, storedSize } of blobs) {
    const path = layout.blobPath(blobId);
    const problem =
      (await changeOf(path, blobId, signal)) ??
      (kind === "bootstrap" ? await faultOf(path) : undefined);
    // Meanwhile it may have been removed.
    if (problem !== undefined && database.blob(blobId) !== undefined) {
      problems.push({
        blobId,
        kind: kind === "bootstrap" ? "bootstrap" : "data",
        ...problem,
        images: [...(users.get(blobId) ?? [])],
      });
    }
    checkedBytes += storedSize;
    onProgress?.({ checkedBytes, totalBytes });
  }
  return { checkedBlobs: blobs.length, checkedBytes, problems };
}

/** The images that need each blob. */
function imagesOfBlobs(database: ImageDatabase): ReadonlyMap<string, ReadonlySet<string>> {
  const users = new Map<string, Set<string>>();
  for (const { imageId, bootstrapId } of database.images()) {
    for (const blobId of [
      bootstrapId,
      ...database.blobsOf(bootstrapId).map((blob) => blob.blobId),
    ]) {
      users.set(blobId, (users.get(blobId) ?? new Set()).add(imageId));
    }
  }
  return users;
}

type Problem = Pick<BlobProblem, "problem" | "message">;

async function changeOf(
  path: string,
  blobId: string,
  signal: AbortSignal | undefined,
): Promise<Problem | undefined> {
  const hash = createHash("sha256");
  try {
    const stream = createReadStream(path, {
      highWaterMark: pieceSize,
      ...(signal !== undefined && { signal }),
    });
    for await (const bytes of stream) hash.update(bytes as Buffer);
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code === "ENOENT") return { problem: "missing", message: "The file is not there." };
    return { problem: "changed", message: `The file cannot be read: ${error.message}` };
  }
  const actual = hash.digest("hex");
  if (actual === blobId) return undefined;
  return { problem: "changed", message: `The file's sha256 is ${actual}.` };
}

async function faultOf(path: string): Promise<Problem | undefined> {
  try {
    validateRafs(await readFile(path));
    return undefined;
  } catch (error) {
    if (!isLongshoreError(error)) throw error;
    return { problem: "invalid", message: error.message };
  }
}
