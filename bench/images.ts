import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCommand } from "@longshore/core";
import { startDockerRegistry } from "../packages/image-nydus/test/registry/docker-registry.ts";
import { benchConversions } from "./image-conversions.ts";
import { buildDebianImage } from "./image-debian.ts";
import { benchOnDemand } from "./image-on-demand.ts";
import { imagePrograms } from "./image-programs.ts";
import { endPrograms, run } from "./run.ts";
import { benchPulls } from "./image-pulls.ts";
import { benchVersions } from "./image-versions.ts";
import type { Row } from "./table.ts";

const programs = ["mmdebstrap", "umoci", "skopeo", "docker-registry", "unshare", "ip", "tc"];

/** Images from a registry to files: how long it takes, in which memory, and what is stored and fetched for it. */
export async function benchImages(): Promise<readonly Row[]> {
  const missing = await findMissing();
  if (missing !== undefined) return [{ name: `not measured: it needs ${missing}` }];
  await using workplace = await temporaryDirectory();
  await using registry = await startDockerRegistry();
  using interruption = untilInterrupted();
  return await Promise.race([measure(workplace.directory, registry.host), interruption.rejected]);
}

async function measure(directory: string, registry: string): Promise<readonly Row[]> {
  const runProgram = await imagePrograms(join(directory, "programs"));
  const image = await buildDebianImage(join(directory, "debian"));
  const name = `${registry}/bench/debian:python`;
  const source = `oci:${image.layout}:${image.tag}`;
  await run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, `docker://${name}`);
  return [
    ...(await benchPulls({ directory, image: name, runProgram })),
    ...(await benchConversions({ directory, image, runProgram })),
    ...(await benchOnDemand({ directory, image, runProgram })),
    ...(await benchVersions({ directory, image })),
  ];
}

/** What keeps the benchmark from running here. */
async function findMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "root";
  for (const program of programs) {
    const found = await findCommand(program, process.env["PATH"] ?? "");
    if (found === undefined) return program;
  }
  return undefined;
}

/** A directory that goes at the end, with the programs that work in it. */
async function temporaryDirectory(): Promise<AsyncDisposable & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  return {
    directory,
    async [Symbol.asyncDispose]() {
      await endPrograms();
      // What was interrupted in this process may still be writing.
      await rm(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Lets who interrupts the benchmark wait until everything is put away. */
function untilInterrupted(): Disposable & { readonly rejected: Promise<never> } {
  const { promise, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => {
    reject(new Error("The benchmark was interrupted."));
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  return {
    rejected: promise,
    [Symbol.dispose]() {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    },
  };
}
