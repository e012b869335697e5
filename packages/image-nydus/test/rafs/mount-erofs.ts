import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { BuiltImage } from "./image-builder.ts";

/** Files of an image in a directory of their own, which goes away at the end. */
export interface ImageFiles extends AsyncDisposable {
  readonly directory: string;
  readonly bootstrap: string;
  /** In the order of the image */
  readonly blobs: readonly string[];
}

/** A mounted image. Unmounts when disposed. */
export interface ErofsMount extends AsyncDisposable {
  readonly path: string;
}

/** Whether this process may mount, which takes root. */
export const canMount: boolean = process.platform === "linux" && process.getuid?.() === 0;

export async function imageFiles(
  image: Pick<BuiltImage, "bootstrap" | "blobBytes">,
): Promise<ImageFiles> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-rafs-"));
  const bootstrap = join(directory, "bootstrap");
  await writeFile(bootstrap, image.bootstrap);
  const blobs: string[] = [];
  for (const [index, bytes] of image.blobBytes.entries()) {
    blobs.push(join(directory, `b${index}`));
    await writeFile(join(directory, `b${index}`), bytes);
  }
  return {
    directory,
    bootstrap,
    blobs,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

// util-linux before 2.41 puts a loop device under the image, which cannot be mixed with plain files as devices.
const mountScript = `
my ($call, $source, $target, $options) = @ARGV; my $type = "erofs";
syscall(0 + $call, $source, $target, $type, 1, $options) == 0 or die "mount: $!\\n";
`;
const mountCall: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 165, arm64: 40 };

/** Mounts an image with the kernel, its files as devices. */
export async function mountErofs(files: ImageFiles): Promise<ErofsMount> {
  const path = join(files.directory, "mnt");
  await mkdir(path);
  const options = files.blobs.map((blob) => `device=${blob}`).join(",");
  const call = String(mountCall[process.arch]);
  await run("perl", ["-e", mountScript, call, files.bootstrap, path, options]);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await run("umount", [path]);
    },
  };
}

/** Runs a program to its end. @returns what it printed */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
