import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { FileListing } from "./file-listing.ts";
import { listDirectory } from "./list-directory.ts";

/** Makes an OCI image of archives, the lowest layer first, has `umoci` unpack it, and lists what came out. Needs root. */
export async function umociListing(layers: readonly Buffer[]): Promise<FileListing> {
  const work = await mkdtemp(join(tmpdir(), "longshore-umoci-"));
  try {
    await writeImageLayout(join(work, "image"), layers);
    await promisify(execFile)("umoci", ["unpack", "--image", "image:test", "bundle"], {
      cwd: work,
    });
    return await listDirectory(join(work, "bundle", "rootfs"));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Writes an OCI layout with one image, tagged `test`, of layers that are not compressed. */
async function writeImageLayout(directory: string, layers: readonly Buffer[]): Promise<void> {
  await mkdir(join(directory, "blobs", "sha256"), { recursive: true });
  const put = async (mediaType: string, content: Buffer | object): Promise<Descriptor> => {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const hex = createHash("sha256").update(bytes).digest("hex");
    await writeFile(join(directory, "blobs", "sha256", hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const type = (name: string): string => `application/vnd.oci.image.${name}`;
  const blobs = await Promise.all(layers.map((bytes) => put(type("layer.v1.tar"), bytes)));
  const config = await put(type("config.v1+json"), {
    os: "linux",
    architecture: "amd64",
    config: {},
    rootfs: { type: "layers", diff_ids: blobs.map(({ digest }) => digest) },
  });
  const mediaType = type("manifest.v1+json");
  const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers: blobs });
  const annotations = { "org.opencontainers.image.ref.name": "test" };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(directory, "index.json"), JSON.stringify(index));
  await writeFile(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}
