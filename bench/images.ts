import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCommand } from "@longshore/core";
import { startDockerRegistry } from "../packages/image-nydus/test/registry/docker-registry.ts";
import { benchConversions } from "./image-conversions.ts";
import { buildDebianImage } from "./image-debian.ts";
import { benchOnDemand } from "./image-on-demand.ts";
import { imagePrograms } from "./image-programs.ts";
import { run } from "./run.ts";
import { benchPulls } from "./image-pulls.ts";
import { benchVersions } from "./image-versions.ts";
import type { Row } from "./table.ts";

const programs = ["mmdebstrap", "umoci", "skopeo", "docker-registry", "unshare", "ip", "tc"];

/** Images from a registry to files: how long it takes, in which memory, and what is stored and fetched for it. */
export async function benchImages(): Promise<readonly Row[]> {
  const missing = await findMissing();
  if (missing !== undefined) return [{ name: `not measured: it needs ${missing}` }];
  await using workplace = await temporaryDirectory();
  const { directory } = workplace;
  const runProgram = await imagePrograms(join(directory, "programs"));
  const image = await buildDebianImage(join(directory, "debian"));
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/bench/debian:python`;
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

/** A directory that goes at the end, also when the benchmark is interrupted. */
async function temporaryDirectory(): Promise<AsyncDisposable & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const interrupt = (): void => void remove().finally(() => process.exit(130));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  return {
    directory,
    async [Symbol.asyncDispose]() {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      await remove();
    },
  };
}
