import { join } from "node:path";
import { buildBusyboxImage } from "../test/fixtures/busybox-image.ts";
import { benchCrowd } from "./container-crowd.ts";
import { benchLifecycles, type RuntimePair } from "./container-lifecycles.ts";
import { startPodman, startRuntime } from "./container-peers.ts";
import { openContainerStack } from "./container-stack.ts";
import type { Row } from "./table.ts";
import { findMissing, temporaryDirectory, untilInterrupted } from "./workplace.ts";

const programs = ["runc", "crun", "skopeo", "umoci", "busybox", "ip", "nft", "perl", "umount"];

/** What the engine adds to the OCI runtimes, and two hundred sandboxes at once. */
export async function benchContainers(): Promise<readonly Row[]> {
  const missing = await findMissing(programs);
  if (missing !== undefined) return [{ name: `not measured: it needs ${missing}` }];
  await using workplace = await temporaryDirectory();
  const place = (name: string): string => join(workplace.directory, name);
  using interruption = untilInterrupted();
  const { signal } = interruption;
  const image = await buildBusyboxImage(workplace.directory);
  const root = place("root");
  const podman = await startPodman(place("podman"), image);
  await using _podman = podman ?? { [Symbol.asyncDispose]: () => Promise.resolve() };
  await using runc = await startRuntime({ directory: place("runc"), root, runtime: "runc" });
  await using crun = await startRuntime({ directory: place("crun"), root, runtime: "crun" });
  await using overRunc = await openContainerStack({
    directory: place("over-runc"),
    image,
    runtime: "runc",
  });
  await using overCrun = await openContainerStack({
    directory: place("over-crun"),
    image,
    runtime: "crun",
  });
  const pairs: readonly RuntimePair[] = [
    { runtime: "runc", peer: runc, stack: overRunc },
    { runtime: "crun", peer: crun, stack: overCrun },
  ];
  const rows = [...(await benchLifecycles({ pairs, podman, signal }))];
  for (const pair of pairs) rows.push(...(await benchCrowd(pair, signal)));
  return rows;
}
