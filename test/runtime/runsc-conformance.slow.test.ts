import { existsSync } from "node:fs";
import { probeRuntime } from "@longshore/runtime-oci";
import {
  describeRuntimeConformance,
  type RuntimeAbility,
  type RuntimeSuitePart,
} from "@longshore/testkit";
import { describe } from "vitest";
import { describeReal } from "./fixtures/describe-real.ts";
import { realHarness } from "./fixtures/real-harness.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
/** Each start of a kernel takes tenths of a second, and there are more than two hundred cases. */
const shortParts: readonly RuntimeSuitePart[] = ["limit", "pause", "facade"];
/** A system call goes by way of two more processes. */
const patience = 3 * Number(process.env["LONGSHORE_TEST_PATIENCE"] ?? "1");
/** Another one than the machine's may be named, by its path */
const binary = process.env["LONGSHORE_TEST_RUNSC"] ?? "runsc";
const isHere =
  process.env["CI"] === "true" || existsSync(binary === "runsc" ? "/usr/bin/runsc" : binary);

const namespaces = "a container's kernel shares no namespaces with the host or others";
const refused = "it is refused";
const lacks: Partial<Record<RuntimeAbility, string>> = {
  "several containers": "a sandbox has one container at a time",
  "pid namespaces": namespaces,
  "ipc namespaces": namespaces,
  "host namespaces": namespaces,
  "user namespaces": namespaces,
  "port forwarding": "the host cannot connect into a container's kernel",
  "no new privileges": "they are always kept away, and /proc does not tell",
  seccomp: "a container's kernel answers system calls itself",
  "masked paths": refused,
  privileged: refused,
  devices: refused,
  "mount propagation": refused,
  "recursive read-only mounts": refused,
  sysctls: refused,
  "pids limit": refused,
  "update resources": refused,
  "cpu set": "it is kept outside, and not told inside",
  "oom score": "it is kept outside, and not told inside",
};
const skip = {
  "gives a user a capability when asked": "ambient capabilities are refused",
  "shows no file of the host by way of /proc": "its /proc has names of its own for open files",
  "gives a pod without network nothing but loopback": "its /sys tells nothing of networks",
};

const why = isHere ? "" : " (needs runsc: apt-get install runsc)";

describe.skipIf(!isHere)(`containers with a kernel of their own${why}`, async () => {
  const { reason } = await probeRuntime(binary);
  const hasNetwork = !reason.includes("no networks");
  const declare: Parameters<typeof describeReal>[1] = (place) => {
    describeRuntimeConformance("the engine over runsc, a bridge and a Nydus store", {
      create: () => realHarness(place(), { binary, hasNetwork }),
      patience,
      lacks: { ...lacks, ...(!hasNetwork && { "pod network": reason }) },
      ...(isFull ? { skip } : { parts: shortParts }),
    });
  };
  describeReal("through runsc", declare, { binary });
});
