import { readTar, type ReadTarOptions } from "../../src/tar/tar-reader.ts";
import type { TarContent, TarEntry } from "../../src/tar/tar-entry.ts";
import { inChunks } from "./tar-blocks.ts";

/** An entry with its content in memory. */
export interface ReadEntry extends Omit<TarEntry, "content"> {
  readonly bytes: Buffer;
  /** `data 3, hole 5`: runs of the same kind together */
  readonly layout: string;
}

/** Reads all entries of an archive. */
export async function readAll(
  archive: Buffer,
  { chunkSize, ...options }: ReadTarOptions & { readonly chunkSize?: number } = {},
): Promise<ReadEntry[]> {
  const entries: ReadEntry[] = [];
  for await (const { content, ...entry } of readTar(inChunks(archive, chunkSize), options)) {
    entries.push({ ...entry, ...(await readContent(content)) });
  }
  return entries;
}

async function readContent(
  content: AsyncIterable<TarContent>,
): Promise<Pick<ReadEntry, "bytes" | "layout">> {
  const parts: Buffer[] = [];
  const runs: { kind: string; size: number }[] = [];
  for await (const part of content) {
    const bytes = part.kind === "data" ? part.bytes : Buffer.alloc(part.size);
    parts.push(Buffer.from(bytes));
    const last = runs.at(-1);
    if (last?.kind === part.kind) last.size += bytes.length;
    else runs.push({ kind: part.kind, size: bytes.length });
  }
  return {
    bytes: Buffer.concat(parts),
    layout: runs.map(({ kind, size }) => `${kind} ${size}`).join(", "),
  };
}
