import { join } from "node:path";
import { buildBusyboxImage } from "../test/fixtures/busybox-image.ts";
import { benchCrowd } from "./container-crowd.ts";
import { benchLifecycles } from "./container-lifecycles.ts";
import { startPodman, startRunc } from "./container-peers.ts";
import { openContainerStack } from "./container-stack.ts";
import type { Row } from "./table.ts";
import { findMissing, temporaryDirectory, untilInterrupted } from "./workplace.ts";

const programs = ["runc", "skopeo", "umoci", "busybox", "ip", "nft", "perl", "umount"];

/** What the engine adds to runc, and two hundred sandboxes at once. */
export async function benchContainers(): Promise<readonly Row[]> {
  const missing = await findMissing(programs);
  if (missing !== undefined) return [{ name: `not measured: it needs ${missing}` }];
  await using workplace = await temporaryDirectory();
  const place = (name: string): string => join(workplace.directory, name);
  using interruption = untilInterrupted();
  const { signal } = interruption;
  const image = await buildBusyboxImage(workplace.directory);
  const podman = await startPodman(place("podman"), image);
  await using _podman = podman ?? { [Symbol.asyncDispose]: () => Promise.resolve() };
  await using runc = await startRunc(place("runc"), place("root"));
  await using stack = await openContainerStack(place("home"), image);
  const rows = [...(await benchLifecycles({ stack, runc, podman, signal }))];
  rows.push(...(await benchCrowd(stack, signal)));
  return rows;
}
