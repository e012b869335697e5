import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { cachedBuild } from "../packages/image-nydus/test/store/image-cache.ts";
import { run } from "./run.ts";

/** A Debian with Python, of about 150 MB. */
export interface DebianImage {
  /** OCI layout */
  readonly layout: string;
  readonly tag: string;
  /** The only layer as it is in the layout, gzip */
  readonly layer: string;
  /** The same uncompressed */
  readonly tar: string;
  /** Digest of `tar` */
  readonly diffId: string;
}

const exclusions = ["doc", "man", "locale", "info"].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);

const tag = "debian";

/** The image out of Debian's packages, to be read only. Building it takes about a minute, and is done once. Needs root. */
export async function buildDebianImage(): Promise<DebianImage> {
  const recipe = new URL(import.meta.url);
  const directory = await cachedBuild({ name: "debian-image", recipe, build });
  const tar = join(directory, "debian.tar");
  const layout = join(directory, "layout");
  const hash = createHash("sha256");
  await pipeline(createReadStream(tar), hash);
  const layer = await layerFile(layout);
  return { layout, tag, layer, tar, diffId: `sha256:${hash.digest("hex")}` };
}

async function build(directory: string): Promise<void> {
  const tar = join(directory, "debian.tar");
  const layout = join(directory, "layout");
  const packages = ["--variant=minbase", "--include=python3-minimal", ...exclusions];
  await run("mmdebstrap", "--quiet", ...packages, "bookworm", tar);
  await run("umoci", "init", "--layout", layout);
  await run("umoci", "new", "--image", `${layout}:${tag}`);
  await run("umoci", "raw", "add-layer", "--image", `${layout}:${tag}`, tar);
}

/** The largest file of a layout with one image. */
async function layerFile(layout: string): Promise<string> {
  const directory = join(layout, "blobs", "sha256");
  const names = await readdir(directory);
  const sizes = await Promise.all(
    names.map(async (name) => ({ name, size: (await stat(join(directory, name))).size })),
  );
  const [largest] = sizes.toSorted((a, b) => b.size - a.size);
  if (largest === undefined) throw new Error(`${layout} is empty`);
  return join(directory, largest.name);
}
