import { join } from "node:path";
import { startDockerRegistry } from "../packages/image-nydus/test/registry/docker-registry.ts";
import { benchConversions } from "./image-conversions.ts";
import { buildDebianImage } from "./image-debian.ts";
import { benchOnDemand } from "./image-on-demand.ts";
import { imagePrograms } from "./image-programs.ts";
import { run } from "./run.ts";
import { benchPulls } from "./image-pulls.ts";
import { benchVersions } from "./image-versions.ts";
import type { Row } from "./table.ts";
import { findMissing, temporaryDirectory, untilInterrupted } from "./workplace.ts";

const programs = ["mmdebstrap", "umoci", "skopeo", "docker-registry", "unshare", "ip", "tc"];

/** Images from a registry to files: how long it takes, in which memory, and what is stored and fetched for it. */
export async function benchImages(): Promise<readonly Row[]> {
  const missing = await findMissing(programs);
  if (missing !== undefined) return [{ name: `not measured: it needs ${missing}` }];
  await using workplace = await temporaryDirectory();
  await using registry = await startDockerRegistry();
  using interruption = untilInterrupted();
  return await Promise.race([measure(workplace.directory, registry.host), interruption.rejected]);
}

async function measure(directory: string, registry: string): Promise<readonly Row[]> {
  const runProgram = await imagePrograms(join(directory, "programs"));
  const image = await buildDebianImage();
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
