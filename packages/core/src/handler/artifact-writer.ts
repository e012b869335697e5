import { createHash, randomBytes } from "node:crypto";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { syncDirectory } from "../files/durable-file.ts";
import type { Artifact } from "../job/job-result.ts";
import { artifactMediaType, assertArtifactPath } from "./artifact-path.ts";
import type { ArtifactOptions, ArtifactSource } from "./handler-context.ts";

export interface ArtifactLimits {
  /** Bytes of all artifacts of an attempt. @default 1_073_741_824 */
  readonly maxArtifactBytes?: number | undefined;
  /** @default 1_000 */
  readonly maxArtifacts?: number | undefined;
}

export interface ArtifactWriterOptions extends ArtifactLimits {
  /** Names the directory of half-written files, which only this worker clears */
  readonly workerId: string;
  /** Throws when nothing may be written any more; asked before, while and after an artifact is written */
  assertOpen?(): void;
}

/** Writes one attempt's artifacts into one directory. */
export interface ArtifactWriter {
  /** Streams a file into place; a file that was there is replaced. An aborted or failed write leaves nothing behind. */
  write(
    path: string,
    source: ArtifactSource,
    options?: ArtifactOptions & Abortable,
  ): Promise<Artifact>;
  /** What was written, in the order of first writing */
  list(): readonly Artifact[];
}

/** Where a worker keeps artifacts that are not complete; no job id starts with a dot. */
export function partialArtifactsDir(root: string, workerId: string): string {
  return join(root, partialName, workerId);
}

const partialName = ".partial";

/**
 * @param root directory of all artifacts; made when needed
 * @param jobId names the job's own directory in it
 */
export function artifactWriter(
  root: string,
  jobId: string,
  options: ArtifactWriterOptions,
): ArtifactWriter {
  const { maxArtifactBytes = 1_073_741_824, maxArtifacts = 1_000, workerId } = options;
  const assertOpen = (): void => options.assertOpen?.();
  const written = new Map<string, Artifact>();
  const underWay = new Set<string>();
  /** Bytes of what is listed and of what is being written */
  let byteCount = 0;

  function reserve(path: string): void {
    if (underWay.has(path)) {
      throw new LongshoreError(
        "STATE_CONFLICT",
        `The artifact "${path}" is being written already.`,
      );
    }
    const newPaths = [...underWay].filter((other) => !written.has(other)).length;
    if (!written.has(path) && written.size + newPaths >= maxArtifacts) {
      throw new LongshoreError("LIMIT_EXCEEDED", `More than ${maxArtifacts} artifacts.`, {
        details: { maxArtifacts },
      });
    }
    underWay.add(path);
  }

  function countBytes(byteLength: number): void {
    byteCount += byteLength;
    if (byteCount <= maxArtifactBytes) return;
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The artifacts have more than ${maxArtifactBytes} bytes.`,
      { details: { maxArtifactBytes } },
    );
  }

  /** Writes the source through to the disk, and counts it. */
  async function stream(
    temporary: string,
    source: ArtifactSource,
    file: { size: number; signal: AbortSignal | undefined },
  ): Promise<string> {
    const hash = createHash("sha256");
    const meter = new Transform({
      transform(chunk: Uint8Array, _encoding, done) {
        try {
          assertOpen();
          file.size += chunk.byteLength;
          countBytes(chunk.byteLength);
          hash.update(chunk);
          done(null, chunk);
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)));
        }
      },
    });
    // Exclusive: a file or link that is there already is never written through.
    const handle = await open(temporary, "wx", 0o644);
    const sink = handle.createWriteStream({ flush: true });
    await pipeline(toReadable(source), meter, sink, { signal: file.signal });
    return hash.digest("hex");
  }

  async function store(
    path: string,
    source: ArtifactSource,
    { mediaType, signal }: ArtifactOptions & Abortable,
  ): Promise<Artifact> {
    const target = join(root, jobId, path);
    const temporary = join(partialArtifactsDir(root, workerId), randomBytes(12).toString("hex"));
    const file = { size: 0, signal };
    try {
      await makeDirectories(root, [partialName, workerId]);
      const sha256 = await stream(temporary, source, file);
      await makeDirectories(root, [jobId, ...path.split("/").slice(0, -1)]);
      signal?.throwIfAborted();
      assertOpen();
      await rename(temporary, target);
      return noteWritten({
        path,
        size: file.size,
        sha256,
        ...(mediaType !== undefined && { mediaType }),
      });
    } catch (error) {
      byteCount -= file.size;
      await rm(temporary, { force: true });
      throw error;
    }
  }

  function noteWritten(artifact: Artifact): Artifact {
    byteCount -= written.get(artifact.path)?.size ?? 0;
    written.set(artifact.path, artifact);
    return artifact;
  }

  return {
    list: () => [...written.values()],
    async write(path, source, { mediaType, signal } = {}) {
      assertArtifactPath(path);
      const type = artifactMediaType(path, mediaType);
      signal?.throwIfAborted();
      assertOpen();
      reserve(path);
      try {
        const artifact = await store(path, source, { mediaType: type, signal });
        await syncDirectory(dirname(join(root, jobId, path)));
        return artifact;
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (error instanceof LongshoreError) throw error;
        throw new LongshoreError("IO_ERROR", `The artifact "${path}" could not be written.`, {
          cause: error,
        });
      } finally {
        underWay.delete(path);
      }
    },
  };
}

/** Makes each directory by itself and refuses links on the way: nothing is written through one. */
async function makeDirectories(root: string, names: readonly string[]): Promise<void> {
  await mkdir(root, { recursive: true });
  let current = root;
  for (const name of names) {
    const parent = current;
    current = join(parent, name);
    const firstMade = await mkdir(current, { recursive: true });
    if (firstMade !== undefined) await syncDirectory(parent);
    if (!(await lstat(current)).isDirectory()) {
      throw new LongshoreError("IO_ERROR", `"${current}" is not a directory.`);
    }
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
