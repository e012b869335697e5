import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { endMark, tarEntry } from "../tar/tar-blocks.ts";

/** A layer as it is to stand in a layout; what it says of itself may be wrong. */
export interface MadeLayer {
  /** The uncompressed archive */
  readonly tar: Buffer;
  /** Bytes in the layout. @default the archive, packed by gzip */
  readonly stored?: Buffer;
  /** What the configuration says. @default the truth */
  readonly diffId?: string;
  /** What the manifest says. @default the truth */
  readonly digest?: string;
  readonly size?: number;
  readonly mediaType?: string;
}

export interface MadeImage {
  readonly layers: readonly MadeLayer[];
  /** Further fields of the configuration */
  readonly config?: object;
  /** In place of the whole configuration */
  readonly configBytes?: Buffer;
  /** @default one for each layer */
  readonly diffIds?: readonly string[];
}

const gzipType = "application/vnd.oci.image.layer.v1.tar+gzip";

/**
 * Writes an image into an OCI layout directory, which is made when it is not there.
 *
 * @returns digests of the manifest and of the configuration, which is the image's id
 */
export async function writeOciImage(
  layout: string,
  tag: string,
  { layers, config = {}, configBytes, diffIds }: MadeImage,
): Promise<{ readonly manifest: string; readonly id: string }> {
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const descriptors: object[] = [];
  for (const layer of layers) {
    const stored = layer.stored ?? gzipSync(layer.tar, { level: 1 });
    const digest = layer.digest ?? digestOf(stored);
    await writeFile(blobFile(layout, digest), stored);
    const { size = stored.length, mediaType = gzipType } = layer;
    descriptors.push({ mediaType, digest, size });
  }
  const rootfs = {
    type: "layers",
    diff_ids: diffIds ?? layers.map(({ tar, diffId }) => diffId ?? digestOf(tar)),
  };
  const configFile =
    configBytes ??
    Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", ...config, rootfs }));
  const configDescriptor = await addBlob(layout, configFile, "config.v1+json");
  const manifest = { schemaVersion: 2, config: configDescriptor, layers: descriptors };
  const { mediaType, ...entry } = await addBlob(
    layout,
    Buffer.from(JSON.stringify(manifest)),
    "manifest.v1+json",
  );
  const annotations = { "org.opencontainers.image.ref.name": tag };
  await addToIndex(layout, { mediaType, ...entry, annotations });
  return { manifest: entry.digest, id: configDescriptor.digest };
}

interface IndexEntry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An entry takes the place of an earlier one with its tag. */
async function addToIndex(layout: string, entry: IndexEntry): Promise<void> {
  const file = join(layout, "index.json");
  const text = await readFile(file, "utf8").catch(() => '{"manifests":[]}');
  const { manifests } = JSON.parse(text) as { readonly manifests: readonly IndexEntry[] };
  const name = "org.opencontainers.image.ref.name";
  const others = manifests.filter((other) => other.annotations[name] !== entry.annotations[name]);
  await writeFile(file, JSON.stringify({ schemaVersion: 2, manifests: [...others, entry] }));
}

async function addBlob(layout: string, bytes: Buffer, type: string) {
  const digest = digestOf(bytes);
  await writeFile(blobFile(layout, digest), bytes);
  return { mediaType: `application/vnd.oci.image.${type}`, digest, size: bytes.length };
}

export function blobFile(layout: string, digest: string): string {
  return join(layout, "blobs", digest.replace(":", "/"));
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A layer of files by path; a path that ends with a slash is a directory. */
export function layerOf(files: Readonly<Record<string, Buffer | string>>): MadeLayer {
  const entries = Object.entries(files).map(([name, data]) =>
    name.endsWith("/")
      ? tarEntry({ name, type: "5", mode: 0o755 })
      : tarEntry({ name, mtime: 1_700_000_000 }, data),
  );
  return { tar: Buffer.concat([...entries, endMark]) };
}

/** The layer packed by zstd. */
export function zstdLayer({ tar }: MadeLayer): MadeLayer {
  return {
    tar,
    stored: zstdCompressSync(tar),
    mediaType: "application/vnd.oci.image.layer.v1.tar+zstd",
  };
}

/** Bytes that no packing makes smaller, always the same for a seed. */
export function noise(seed: string, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let block = 0; block * 64 < size; block += 1) {
    blocks.push(createHash("sha512").update(`${seed} ${block}`).digest());
  }
  return Buffer.concat(blocks, blocks.length * 64).subarray(0, size);
}
