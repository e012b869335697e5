// Holds images against Nydus' own programs: builds `nydus-image` and `nydusd` from the Rust registry (once, some minutes;
// kept in the user's cache), then lets them check and serve images of this package, and reads images of theirs.
//
//   node --conditions=@longshore/source scripts/nydus-conformance.ts              the whole programme
//   node --conditions=@longshore/source scripts/nydus-conformance.ts BOOTSTRAP…   only `nydus-image check` on files
//
// Needs cargo, a C compiler, cmake, make, perl, python3; root and /dev/fuse for the part with nydusd.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openBootstrap } from "../packages/image-nydus/src/rafs/open-bootstrap.ts";
import { validateRafs } from "../packages/image-nydus/src/rafs/validate-rafs.ts";
import type { Inode } from "../packages/image-nydus/src/tree/inode.ts";
import {
  imageBuilder,
  type BuiltImage,
  type ImageBuilderOptions,
} from "../packages/image-nydus/test/rafs/image-builder.ts";
import { listFilesystem } from "../packages/image-nydus/test/rafs/list-filesystem.ts";
import { canMount, run } from "../packages/image-nydus/test/rafs/mount-erofs.ts";
import { oddTree } from "../packages/image-nydus/test/rafs/odd-tree.ts";
import { differences } from "../packages/image-nydus/test/tree/file-listing.ts";
import { listDirectory } from "../packages/image-nydus/test/tree/list-directory.ts";
import { listObjects } from "../packages/image-nydus/test/tree/list-tree.ts";

const version = "2.2.0";
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "longshore");
const toolsRoot = join(cache, `nydus-rs-${version}`);
const nydusImage = join(toolsRoot, "bin", "nydus-image");
const nydusd = join(toolsRoot, "bin", "nydusd");

let failures = 0;

await buildTools();
const given = process.argv.slice(2);
if (given.length > 0) {
  for (const bootstrap of given) await report(`check ${bootstrap}`, () => check(bootstrap));
} else {
  const directory = await mkdtemp(join(tmpdir(), "longshore-conformance-"));
  try {
    await holdOurs(directory);
    await readTheirs(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
console.log(failures === 0 ? "all agree" : `${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

async function buildTools(): Promise<void> {
  if (existsSync(nydusImage) && existsSync(nydusd)) return;
  console.log(`building nydus-rs ${version} into ${toolsRoot}`);
  const bins = ["--bin", "nydus-image", "--bin", "nydusd"];
  const args = ["install", "nydus-rs", "--version", version, "--locked", "--debug", ...bins];
  const child = spawn("nice", ["-n", "19", "cargo", ...args, "--force", "--root", toolsRoot], {
    stdio: "inherit",
  });
  const [code] = await once(child, "close");
  if (code !== 0)
    throw new Error(`cargo ended with ${String(code)}; is the Rust registry reachable?`);
}

async function report(name: string, action: () => Promise<string>): Promise<void> {
  try {
    console.log(`ok    ${name}: ${await action()}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL  ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function check(bootstrap: string): Promise<string> {
  const printed = await run(nydusImage, ["check", "-B", bootstrap]);
  if (!printed.includes("RAFS filesystem metadata is valid")) throw new Error(printed);
  return "valid";
}

/** Our images: their checker accepts them, their daemon serves what was written. */
async function holdOurs(directory: string): Promise<void> {
  const variants: readonly (readonly [string, ImageBuilderOptions])[] = [
    ["aligned", {}],
    ["aligned, list of sections", { toc: true }],
    ["zstd", { compressor: "zstd" }],
    ["zstd, list of sections, 64 KiB chunks", { compressor: "zstd", toc: true, chunkSize: 65_536 }],
  ];
  for (const [name, options] of variants) {
    const image = await oddImage(options);
    const files = await mkdtemp(join(directory, "ours-"));
    const bootstrap = join(files, "bootstrap");
    await writeFile(bootstrap, image.bootstrap);
    for (const [index, blob] of image.blobs.entries()) {
      await writeFile(join(files, blob.id), image.blobBytes[index] ?? "");
    }
    await report(`nydus-image check, ${name}`, () => check(bootstrap));
    if (canMount && existsSync("/dev/fuse")) {
      await report(`nydusd, ${name}`, () => serve(image, files));
    } else {
      console.log("skip  nydusd: needs root and /dev/fuse");
    }
  }
}

async function oddImage(options: ImageBuilderOptions): Promise<BuiltImage> {
  const builder = imageBuilder({ ...options, blobs: 2 });
  const root = await oddTree(builder);
  const inodes: Inode[] = [root];
  for (const inode of inodes) {
    // This version takes the names of POSIX ACLs for unknown ones; later ones do not.
    const kept = [...inode.xattrs].filter(([name]) => !name.startsWith("system.posix_acl_"));
    Object.assign(inode, { xattrs: new Map(kept) });
    if (inode.kind === "directory") inodes.push(...inode.children.values());
  }
  return await builder.finish(root);
}

async function serve(image: BuiltImage, files: string): Promise<string> {
  const [mount, work] = [join(files, "mnt"), join(files, "cache")];
  await mkdir(mount);
  await mkdir(work);
  const config = join(files, "config.json");
  const backend = { type: "localfs", config: { dir: files } };
  const blobCache = { type: "blobcache", config: { work_dir: work } };
  const device = { backend, cache: blobCache };
  await writeFile(config, JSON.stringify({ device, mode: "direct", enable_xattr: true }));
  const args = ["--rlimit-nofile", "0", "-C", config, "-B", join(files, "bootstrap"), "-M", mount];
  const daemon = spawn(nydusd, [...args, "-l", "error"], { stdio: "ignore" });
  const exit = once(daemon, "close");
  try {
    while (!(await readFile("/proc/self/mounts", "utf8")).includes(` ${mount} `)) {
      if (daemon.exitCode !== null) throw new Error(`nydusd ended with ${daemon.exitCode}`);
      await sleep(50);
    }
    const listing = await listDirectory(mount);
    // It numbers a file in two ways, by how the kernel came to it, so that names of one file look like two.
    const ignore = (_path: string, field: string): boolean => field === "hardlink";
    const found = differences(listing, listObjects(image.root, image.sha256Of), { ignore });
    if (found.length > 0)
      throw new Error(`${found.length} differences, e.g. ${found.slice(0, 5).join("; ")}`);
    return `${listing.size} files equal`;
  } finally {
    await run("umount", [mount]).catch(() => undefined);
    daemon.kill();
    await exit;
  }
}

/** Their images: our reader and our validator accept them, and read what was put in. */
async function readTheirs(directory: string): Promise<void> {
  const source = join(directory, "source");
  await makeSource(source);
  const expected = await listDirectory(source, { ignoreXattrs: /./u });
  const grid = ["none", "lz4_block", "zstd"].flatMap((compressor) =>
    ["sha256", "blake3"].flatMap((digester) =>
      ["0x100000", "0x1000"].map((chunkSize) => ({ compressor, digester, chunkSize })),
    ),
  );
  for (const { compressor, digester, chunkSize } of grid) {
    await report(`read ${compressor}, ${digester}, chunks of ${chunkSize}`, async () => {
      const target = await mkdtemp(join(directory, "theirs-"));
      const bootstrap = join(target, "bootstrap");
      const format = ["--fs-version", "6", "--compressor", compressor, "--digester", digester];
      const places = ["--bootstrap", bootstrap, "--blob-dir", target, source];
      await run(nydusImage, ["create", ...format, "--chunk-size", chunkSize, ...places]);
      const bytes = await readFile(bootstrap);
      const filesystem = openBootstrap(bytes);
      const blobs = await Promise.all(filesystem.blobs.map(({ id }) => readFile(join(target, id))));
      const listing = await listFilesystem(filesystem, blobs);
      // Inodes of 32 bytes have no times.
      const ignore = (_path: string, field: string): boolean => field === "mtime";
      const found = differences(listing, expected, { ignore });
      if (found.length > 0) throw new Error(found.slice(0, 5).join("; "));
      const { inodes, chunks } = validateRafs(bytes, { reader: "nydus" });
      return `${inodes} inodes, ${chunks} chunks`;
    });
  }
}

async function makeSource(source: string): Promise<void> {
  const big = Buffer.alloc(3_500_000);
  for (let at = 0; at + 4 <= big.length; at += 4) big.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  await mkdir(join(source, "many", "deeper"), { recursive: true });
  await writeFile(join(source, "big"), big);
  await writeFile(join(source, "text"), "to be or not to be ".repeat(5000));
  await writeFile(join(source, "empty"), "");
  await writeFile(join(source, "!first"), big.subarray(1_048_576, 2_097_152));
  await symlink("text", join(source, "link"));
  for (let number = 0; number < 600; number += 1) {
    await writeFile(
      join(source, "many", `file-${number}-${"n".repeat(number % 100)}`),
      String(number % 50),
    );
  }
  if ((await readdir(source)).length !== 6)
    throw new Error("the source of the images is incomplete");
}
