import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readBootstrapLayer } from "../../src/lazy/bootstrap-layer.ts";
import { findNydusManifest } from "../../src/lazy/find-nydus-manifest.ts";
import { lazyBlobReader } from "../../src/lazy/lazy-blob-reader.ts";
import { nydusBlobs } from "../../src/lazy/nydus-blobs.ts";
import { nydusAnnotations, nydusTypes, parseNydusManifest } from "../../src/lazy/nydus-manifest.ts";
import { prefetchHints } from "../../src/lazy/prefetch-hints.ts";
import { readPieces } from "../../src/mount/read-pieces.ts";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import type { ReadableFilesystem } from "../../src/rafs/readable-filesystem.ts";
import type { ImageSource } from "../../src/registry/image-source.ts";
import type { Descriptor } from "../../src/registry/manifest.ts";
import { mediaTypes } from "../../src/registry/media-types.ts";
import { openImageSource, openImageTarget } from "../../src/registry/open-image-source.ts";
import { directory, imageBuilder, type BuiltImage } from "../rafs/image-builder.ts";
import { startDockerRegistry } from "../registry/docker-registry.ts";
import { bytesOf } from "./blob-fixture.ts";
import { bytes, exact, scratchDirectory } from "./lazy-fixture.ts";

const platform = { os: "linux", architecture: "amd64" };
const contents: Readonly<Record<string, Buffer>> = {
  large: bytesOf(3_500_000, 1),
  small: bytesOf(700, 2),
  other: bytesOf(90_000, 3),
};

async function buildImage(): Promise<BuiltImage> {
  const builder = imageBuilder({ compressor: "zstd", toc: true, blobs: 2 });
  const large = await builder.file(contents["large"] ?? Buffer.alloc(0));
  const small = await builder.file(contents["small"] ?? Buffer.alloc(0));
  const other = await builder.file(contents["other"] ?? Buffer.alloc(0), {}, 1);
  return builder.finish(directory({ large, sub: directory({ small }), other }));
}

function describeBytes(content: Buffer, rest: Omit<Descriptor, "digest" | "size">): Descriptor {
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  return { ...rest, digest, size: content.length };
}

async function pushImage(reference: string, image: BuiltImage): Promise<void> {
  await using target = await openImageTarget(reference);
  const put = async (content: Buffer, rest: Omit<Descriptor, "digest" | "size">) => {
    const descriptor = describeBytes(content, rest);
    await target.writeBlob(descriptor, async function* whole() {
      yield content;
    });
    return descriptor;
  };
  const layers: Descriptor[] = [];
  for (const content of image.blobBytes) {
    const annotations = { [nydusAnnotations.blob]: "true" };
    layers.push(await put(content, { mediaType: nydusTypes.blobLayer, annotations }));
  }
  const annotations = {
    [nydusAnnotations.bootstrap]: "true",
    [nydusAnnotations.fsVersion]: "6",
  };
  const layer = gzipSync(await tarOfBootstrap(image.bootstrap));
  layers.push(await put(layer, { mediaType: mediaTypes.ociLayerGzip, annotations }));
  const file = JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [] } });
  const config = await put(Buffer.from(file), { mediaType: mediaTypes.ociConfig });
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  await target.writeManifest(
    { bytes: Buffer.from(JSON.stringify(manifest)), mediaType: mediaTypes.ociManifest },
    { as: "name" },
  );
  await target.finish();
}

async function tarOfBootstrap(bootstrap: Buffer): Promise<Buffer> {
  await using scratch = await scratchDirectory();
  await mkdir(join(scratch.path, "image"));
  await writeFile(join(scratch.path, "image", "image.boot"), bootstrap);
  return execFileSync("tar", ["-C", scratch.path, "-cf", "-", "image"], { maxBuffer: 2 ** 26 });
}

/** What a mount does to have an image's files. */
async function openNydus(source: ImageSource, cache: string) {
  const top = await source.fetchManifest();
  const manifest = await findNydusManifest(source, { top }, { platform });
  if (manifest === undefined) throw new Error("the image is there");
  const layout = parseNydusManifest(manifest.manifest);
  const layer = await readBootstrapLayer(source.openBlob(layout.bootstrap));
  const filesystem = openBootstrap(layer.bootstrap);
  const blobs = nydusBlobs({ source, layout, layer });
  return { filesystem, reader: lazyBlobReader({ directory: cache, blobs, ...exact }) };
}

function nidOf(filesystem: ReadableFilesystem, path: string): number {
  let nid = filesystem.rootNid;
  for (const name of path.split("/")) nid = filesystem.lookup(nid, name)?.nid ?? -1;
  return nid;
}

describe("a Nydus image in a registry", () => {
  it("is read file by file, fetching only what is read", async () => {
    await using registry = await startDockerRegistry();
    const reference = `${registry.host}/tests/lazy:1`;
    const image = await buildImage();
    await pushImage(reference, image);
    await using source = await openImageSource(reference);
    await using scratch = await scratchDirectory();
    const { filesystem, reader } = await openNydus(source, scratch.path);
    await using _closing = reader;

    const read = async (path: string): Promise<Buffer> => {
      const nid = nidOf(filesystem, path);
      const length = filesystem.stat(nid).size;
      const parts: Buffer[] = [];
      for (const piece of readPieces(filesystem, { nid, offset: 0, length })) {
        const part = Buffer.alloc(piece.length);
        await reader.read(piece.blobId, piece.offset, part);
        parts.push(part);
      }
      return Buffer.concat(parts);
    };
    expect(await read("sub/small")).toSatisfy(bytes(contents["small"] ?? Buffer.alloc(0)));
    const stored = image.blobBytes.reduce((sum, { length }) => sum + length, 0);
    expect(reader.stats().fetchedBytes).toBeLessThan(stored / 20);
    expect(await read("other")).toSatisfy(bytes(contents["other"] ?? Buffer.alloc(0)));
    expect(await read("large")).toSatisfy(bytes(contents["large"] ?? Buffer.alloc(0)));
  });

  it("turns the files that an image wants first into chunks", async () => {
    const image = await buildImage();
    const filesystem = openBootstrap(image.bootstrap);
    const [first, second] = image.blobs;
    const prefetchNids = [
      nidOf(filesystem, "other"),
      nidOf(filesystem, "sub"),
      nidOf(filesystem, "other"),
    ];
    expect(prefetchHints(filesystem, { prefetchNids })).toEqual([
      { blobId: second?.id, first: 0, count: 1 },
      { blobId: first?.id, first: 4, count: 1 },
    ]);
    const all = prefetchHints(filesystem, { prefetchNids: [filesystem.rootNid], maxChunks: 3 });
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(3);
  });
});
