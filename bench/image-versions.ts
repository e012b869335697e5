import { createHash } from "node:crypto";
import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { openNydusImageStore } from "../packages/image-nydus/src/index.ts";
import type { DebianImage } from "./image-debian.ts";
import { run } from "./run.ts";
import type { Row } from "./table.ts";

const versions = 5;
const changedShare = 0.05;
const applicationBytes = 120_000_000;
const megabyte = 1_000_000;

export interface VersionsBenchmark {
  readonly directory: string;
  readonly image: DebianImage;
}

/**
 * What five versions of an application on one base take: here, and where each layer is kept whole. The application is this
 * workspace's node_modules. Each version is built anew, so that its layer is another file throughout; 5 % of its files
 * differ from the version before.
 */
export async function benchVersions({ directory, image }: VersionsBenchmark): Promise<Row[]> {
  const place = join(directory, "versions");
  const root = join(place, "root");
  const files = await gatherApplication(root);
  const { layout } = image;
  const storeDirectory = join(place, "store");
  await using store = await openNydusImageStore({ directory: storeDirectory });
  await store.pullImage({ image: { image: `oci:${layout}:${image.tag}` } });
  const storedBase = await diskBytes(storeDirectory);
  const compressedBase = await diskBytes(layout);
  let unpacked = 0;
  for (let version = 1; version <= versions; version += 1) {
    if (version > 1) await changeSome(root, files, version);
    const tar = join(place, "layer.tar");
    const tag = `app-${version}`;
    const owner = ["--owner=0", "--group=0", `--mtime=@${1_700_000_000 + version * 86_400}`];
    await run("tar", "--format=posix", "--sort=name", ...owner, "-cf", tar, "-C", root, ".");
    await run("umoci", "tag", "--image", `${layout}:${image.tag}`, tag);
    await run("umoci", "raw", "add-layer", "--image", `${layout}:${tag}`, tar);
    unpacked += await diskBytes(root);
    await store.pullImage({ image: { image: `oci:${layout}:${tag}` } });
  }
  const stored = await diskBytes(storeDirectory);
  const compressed = await diskBytes(layout);
  await rm(root, { recursive: true });
  await mkdir(root);
  await run("tar", "-xf", image.tar, "-C", root);
  const unpackedBase = await diskBytes(root);
  await rm(place, { recursive: true });
  const application = stored - storedBase;
  const target = "<= 0.40x";
  return [
    {
      name: `${versions} versions: their own layers, unpacked one by one`,
      value: unpacked / megabyte,
      unit: "MB",
    },
    {
      name: `${versions} versions: the same in the store`,
      value: application / megabyte,
      unit: "MB",
      ratio: application / unpacked,
      target,
    },
    {
      name: `${versions} versions with their base: in the store, against unpacked layers`,
      value: stored / megabyte,
      unit: "MB",
      ratio: stored / (unpacked + unpackedBase),
      target,
    },
    {
      name: `${versions} versions: in the store, against their layers as gzip`,
      value: application / megabyte,
      unit: "MB",
      ratio: application / (compressed - compressedBase),
    },
  ];
}

/** Copies files of packages until there are enough, and gives their paths. */
async function gatherApplication(root: string): Promise<readonly string[]> {
  const from = join(import.meta.dirname, "..", "node_modules");
  const found = await readdir(from, { recursive: true, withFileTypes: true });
  const gathered: string[] = [];
  let size = 0;
  for (const entry of found.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))) {
    const path = placeOf(entry);
    // Node itself is no application, and more than half of it all.
    if (!entry.isFile() || path.includes("/node-linux-")) continue;
    const target = join(root, path.slice(dirname(from).length));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
    gathered.push(target);
    size += (await stat(target)).size;
    if (size >= applicationBytes) break;
  }
  return gathered;
}

function placeOf({ parentPath, name }: { readonly parentPath: string; readonly name: string }) {
  return join(parentPath, name);
}

/** Puts a line before the content of some files: what comes behind it lies elsewhere from then on. */
async function changeSome(root: string, files: readonly string[], version: number): Promise<void> {
  for (const path of files) {
    const name = path.slice(root.length);
    const draw =
      createHash("sha256").update(`${version} ${name}`).digest().readUInt32BE() / 2 ** 32;
    if (draw >= changedShare) continue;
    const content = await readFile(path);
    await writeFile(path, `// version ${version}\n`);
    await appendFile(path, content);
  }
}

/** What a directory takes on the disk. */
async function diskBytes(directory: string): Promise<number> {
  const [bytes = ""] = (await run("du", "--summarize", "--block-size=1", directory)).split("\t");
  return Number(bytes);
}
