import { execFile } from "node:child_process";
import { open, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

export interface DemoDiskOptions {
  /** @default "qcow2" */
  readonly format?: "raw" | "qcow2" | undefined;
  /** @default "gpt" */
  readonly table?: "gpt" | "mbr" | undefined;
  /** `qemu-img convert` arguments, e.g. `["-c"]` */
  readonly convertArgs?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

const mebibyte = 1_048_576;
const sector = 512;
const run = promisify(execFile);
const timeoutMs = 60_000;

interface Part {
  readonly file: string;
  /** Bytes */
  readonly start: number;
}

/**
 * Makes a small disk image with a partition table, a boot partition (vfat) and a root partition (ext4) that holds an
 * operating system's name. Needs sfdisk, mkfs.vfat, mkfs.ext4 and qemu-img; no root, no mount, no loop device.
 */
export async function makeDemoDisk(path: string, options: DemoDiskOptions = {}): Promise<void> {
  const { format = "qcow2", table = "gpt", convertArgs = [], signal } = options;
  const limits = { signal, timeout: timeoutMs, env: { PATH: toolPath(), LC_ALL: "C" } };
  const work = await mkdtemp(join(tmpdir(), "longshore-disk-"));
  try {
    const boot = { file: join(work, "boot"), start: mebibyte };
    await makeFile(boot.file, 16 * mebibyte);
    await run("mkfs.vfat", ["-n", "BOOT", "-i", "CAFE0001", boot.file], limits);

    const root = { file: join(work, "root"), start: 24 * mebibyte };
    await makeRootTree(join(work, "tree"));
    await makeFile(root.file, 32 * mebibyte);
    const rootArgs = ["-q", "-L", "demo-root", "-d", join(work, "tree"), root.file];
    await run("mkfs.ext4", rootArgs, limits);

    const disk = join(work, "disk");
    await makeFile(disk, 64 * mebibyte);
    await partition(disk, table, { ...limits, parts: [boot, root] });
    for (const part of [boot, root]) await copyInto(disk, part);

    await mkdir(dirname(path), { recursive: true });
    const target = `${path}.part`;
    await run(
      "qemu-img",
      ["convert", "-f", "raw", "-O", format, ...convertArgs, disk, target],
      limits,
    );
    await rename(target, path);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** On some systems the tools lie where only root looks for them. */
function toolPath(): string {
  return `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
}

async function makeRootTree(tree: string): Promise<void> {
  await mkdir(join(tree, "etc"), { recursive: true });
  await mkdir(join(tree, "usr", "lib"), { recursive: true });
  const release = {
    PRETTY_NAME: '"Demo Linux 1.2 (tern)"',
    NAME: '"Demo Linux"',
    ID: "demo",
    ID_LIKE: "debian",
    VERSION_ID: '"1.2"',
  };
  const lines = Object.entries(release).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(join(tree, "usr", "lib", "os-release"), lines.join(""));
  // As installed systems have it.
  await symlink("../usr/lib/os-release", join(tree, "etc", "os-release"));
  await writeFile(join(tree, "etc", "hostname"), "demo-host\n");
}

async function makeFile(path: string, size: number): Promise<void> {
  await writeFile(path, "");
  await truncate(path, size);
}

interface PartitionRun {
  readonly signal: AbortSignal | undefined;
  readonly timeout: number;
  readonly env: Readonly<Record<string, string>>;
  readonly parts: readonly [Part, Part];
}

async function partition(
  disk: string,
  table: "gpt" | "mbr",
  runOptions: PartitionRun,
): Promise<void> {
  const { parts, ...limits } = runOptions;
  const [boot, root] = parts.map(({ start }) => start / sector);
  const sizes = [16, 32].map((size) => (size * mebibyte) / sector);
  const script =
    table === "gpt"
      ? [
          "label: gpt",
          `start=${boot}, size=${sizes[0]}, type=uefi, name="EFI system"`,
          `start=${root}, size=${sizes[1]}, type=linux, name="root"`,
        ]
      : [
          "label: dos",
          "label-id: 0x12345678",
          `start=${boot}, size=${sizes[0]}, type=c, bootable`,
          // The root filesystem lies in a logical partition, as on disks of old.
          `start=${Number(root) - 2_048}, size=${Number(sizes[1]) + 2_048}, type=5`,
          `start=${root}, size=${sizes[1]}, type=83`,
        ];
  const child = run("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", disk], limits);
  child.child.stdin?.end(`${script.join("\n")}\n`);
  await child;
}

async function copyInto(disk: string, { file, start }: Part): Promise<void> {
  const source = await open(file, "r");
  try {
    const target = await open(disk, "r+");
    try {
      const chunk = Buffer.alloc(mebibyte);
      for (let offset = 0; ; offset += chunk.length) {
        const { bytesRead } = await source.read(chunk, 0, chunk.length, offset);
        if (bytesRead === 0) return;
        // What is all zeros stays a hole.
        if (chunk.some((byte) => byte !== 0))
          await target.write(chunk, 0, bytesRead, start + offset);
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}
