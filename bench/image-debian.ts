import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "./run.ts";

/** A Debian with Python, of about 150 MB. */
export interface DebianImage {
  /** OCI layout */
  readonly layout: string;
  readonly tag: string;
  /** The only layer, uncompressed */
  readonly tar: string;
  /** Digest of `tar` */
  readonly diffId: string;
}

const exclusions = ["doc", "man", "locale", "info"].map(
  (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
);

/** Builds the image out of Debian's packages; takes about a minute. Needs root. */
export async function buildDebianImage(directory: string): Promise<DebianImage> {
  const tar = join(directory, "debian.tar");
  const layout = join(directory, "layout");
  const tag = "debian";
  await mkdir(directory, { recursive: true });
  const packages = ["--variant=minbase", "--include=python3-minimal", ...exclusions];
  await run("mmdebstrap", "--quiet", ...packages, "bookworm", tar);
  await run("umoci", "init", "--layout", layout);
  await run("umoci", "new", "--image", `${layout}:${tag}`);
  await run("umoci", "raw", "add-layer", "--image", `${layout}:${tag}`, tar);
  const hash = createHash("sha256");
  await pipeline(createReadStream(tar), hash);
  return { layout, tag, tar, diffId: `sha256:${hash.digest("hex")}` };
}
