import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const runFile = promisify(execFile);

/** A temporary directory that goes with its user. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), "longshore-images-"));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Runs a program and gives what it wrote. */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await runFile(command, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

export interface SampleImage {
  /** `oci:DIR:TAG` */
  readonly name: string;
  /** OCI layout directory */
  readonly layout: string;
  readonly tag: string;
}

/** An image of three gzip layers, made by umoci: two texts and `bigBytes` of noise. */
export async function sampleImage(directory: string, bigBytes = 300_000): Promise<SampleImage> {
  const layout = join(directory, "sample");
  const tag = "one";
  const image = `${layout}:${tag}`;
  await run("umoci", "init", "--layout", layout);
  await run("umoci", "new", "--image", image);
  const contents = {
    hello: "hello",
    world: randomBytes(12).toString("hex"),
    big: randomBytes(bigBytes),
  };
  for (const [name, content] of Object.entries(contents)) {
    const file = join(directory, name);
    await writeFile(file, content);
    await run("umoci", "insert", "--image", image, file, `/data/${name}`);
  }
  await run(
    "umoci",
    "config",
    "--image",
    image,
    "--config.cmd",
    "/bin/true",
    "--config.env",
    "A=b",
  );
  return { name: `oci:${image}`, layout, tag };
}
