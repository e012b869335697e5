import { createHash, randomBytes } from "node:crypto";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { Artifact } from "../job/job-result.ts";
import type { ArtifactOptions, ArtifactSource } from "./handler-context.ts";

export interface ArtifactLimits {
  /** Bytes of all artifacts of an attempt. @default 1_073_741_824 */
  readonly maxArtifactBytes?: number | undefined;
  /** @default 1_000 */
  readonly maxArtifacts?: number | undefined;
}

/** Writes one attempt's artifacts into one directory. */
export interface ArtifactWriter {
  write(
    path: string,
    source: ArtifactSource,
    options?: ArtifactOptions & Abortable,
  ): Promise<Artifact>;
  /** What was written, in the order of first writing */
  list(): readonly Artifact[];
}

const mediaTypes: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".gz": "application/gzip",
  ".html": "text/html",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
  ".log": "text/plain",
  ".md": "text/markdown",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tar": "application/x-tar",
  ".txt": "text/plain",
  ".xml": "application/xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".zip": "application/zip",
};
const maxPathBytes = 1_024;

/**
 * @param root directory of all artifacts; made when needed
 * @param jobId names the job's own directory in it
 */
export function artifactWriter(
  root: string,
  jobId: string,
  limits: ArtifactLimits = {},
): ArtifactWriter {
  const { maxArtifactBytes = 1_073_741_824, maxArtifacts = 1_000 } = limits;
  const written = new Map<string, Artifact>();
  const jobDir = join(root, jobId);
  let byteCount = 0;

  function countBytes(chunk: Uint8Array): void {
    byteCount += chunk.byteLength;
    if (byteCount <= maxArtifactBytes) return;
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The artifacts have more than ${maxArtifactBytes} bytes.`,
      { details: { maxArtifactBytes } },
    );
  }

  async function stream(
    temporary: string,
    source: ArtifactSource,
    signal: AbortSignal | undefined,
  ): Promise<{ size: number; sha256: string }> {
    const hash = createHash("sha256");
    let size = 0;
    const meter = new Transform({
      transform(chunk: Uint8Array, _encoding, done) {
        try {
          countBytes(chunk);
          size += chunk.byteLength;
          hash.update(chunk);
          done(null, chunk);
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)));
        }
      },
    });
    // Exclusive: a file or link that is there already is never written through.
    const handle = await open(temporary, "wx", 0o644);
    const file = handle.createWriteStream({ flush: true });
    await pipeline(toReadable(source), meter, file, { signal });
    return { size, sha256: hash.digest("hex") };
  }

  return {
    list: () => [...written.values()],
    async write(path, source, { mediaType, signal } = {}) {
      assertArtifactPath(path);
      if (!written.has(path) && written.size >= maxArtifacts) {
        throw new LongshoreError("LIMIT_EXCEEDED", `More than ${maxArtifacts} artifacts.`);
      }
      const target = join(jobDir, path);
      await makeDirectories(jobDir, dirname(path));
      const temporary = join(dirname(target), `.${randomBytes(8).toString("hex")}.tmp`);
      try {
        const { size, sha256 } = await stream(temporary, source, signal);
        await rename(temporary, target);
        await syncDirectory(dirname(target));
        const type = mediaType ?? mediaTypes[extname(path).toLowerCase()];
        const artifact: Artifact = {
          path,
          size,
          sha256,
          ...(type !== undefined && { mediaType: type }),
        };
        written.set(path, artifact);
        return artifact;
      } catch (error) {
        await rm(temporary, { force: true });
        if (signal?.aborted === true) throw signal.reason;
        if (error instanceof LongshoreError) throw error;
        throw new LongshoreError("IO_ERROR", `The artifact "${path}" could not be written.`, {
          cause: error,
        });
      }
    },
  };
}

/** @throws {LongshoreError} `VALIDATION_ERROR` for a path that is not below the artifacts, or not portable */
function assertArtifactPath(path: string): void {
  const isGood =
    path !== "" &&
    Buffer.byteLength(path) <= maxPathBytes &&
    !path.includes("\0") &&
    !path.includes("\\") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
    !/(^|\/)\.[^/]*\.tmp$/.test(path);
  if (isGood) return;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The artifact path ${JSON.stringify(path.slice(0, 200))} must be relative, with "/" between plain names.`,
    { details: { path: path.slice(0, 200) } },
  );
}

/** Makes each directory by itself and refuses links on the way: nothing is written through one. */
async function makeDirectories(jobDir: string, relative: string): Promise<void> {
  await mkdir(jobDir, { recursive: true });
  let current = jobDir;
  const parts = relative === "." ? [] : relative.split("/");
  for (const part of ["", ...parts]) {
    if (part !== "") {
      current = join(current, part);
      await mkdir(current, { recursive: true });
    }
    if (!(await lstat(current)).isDirectory()) {
      throw new LongshoreError("IO_ERROR", `"${current}" is not a directory.`);
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function toReadable(source: ArtifactSource): Readable {
  if (source instanceof Readable) return source;
  if (typeof source === "string" || source instanceof Uint8Array) {
    return Readable.from([Buffer.from(source)]);
  }
  return Readable.from(toBuffers(source));
}

async function* toBuffers(source: AsyncIterable<Uint8Array | string>): AsyncGenerator<Buffer> {
  for await (const chunk of source) yield Buffer.from(chunk);
}
