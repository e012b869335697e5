import { join } from "node:path";
import { bridgeNetwork } from "@longshore/runtime";
import { readHostFacts } from "@longshore/runtime-oci";
import { bridgeName } from "./container/compose-runtime.ts";
import { probeContainerRuntimes } from "./container/container-backends.ts";
import type { Check } from "./doctor-check.ts";

/** What containers need: an OCI runtime, tried out, and the limits, filters and networks that there are for them. */
export async function checkContainers(home: string): Promise<readonly Check[]> {
  const runtimes = await checkOciRuntimes();
  // Not at the same time: the runtimes that are tried out have cgroups of their own for a moment.
  return [...runtimes, ...(await checkLimits()), await checkNetwork(home)];
}

async function checkOciRuntimes(): Promise<readonly Check[]> {
  const probes = await probeContainerRuntimes();
  return probes.map(({ binary, available, version, reason, fix }) => {
    if (available) return { name: binary, status: "ok", found: `${reason} (containers)` };
    const which = version === undefined ? "" : `${version}, `;
    return {
      name: binary,
      status: "missing",
      found: `${which}${reason.replace(/\.$/, "")}: no containers by ${binary}`,
      fix: fix ?? `see to what ${binary} says, or use another OCI runtime`,
    };
  });
}

async function checkLimits(): Promise<readonly Check[]> {
  if (process.platform !== "linux") {
    const fix = "use Linux";
    return [{ name: "cgroups", status: "missing", found: "no Linux: no limits", fix }];
  }
  const { cgroupVersion, controllers, hasSeccomp } = await readHostFacts();
  const limits = ["cpu", "memory", "pids"];
  const lacking = limits.filter((name) => !controllers.has(name));
  const cgroups = `version ${cgroupVersion}`;
  return [
    lacking.length === 0
      ? { name: "cgroups", status: "ok", found: `${cgroups} (limits of containers)` }
      : {
          name: "cgroups",
          status: "missing",
          found: `${cgroups} without ${lacking.join(", ")}: no such limits of containers`,
          fix: "boot with cgroup version 2 (systemd.unified_cgroup_hierarchy=1), and delegate these controllers",
        },
    hasSeccomp
      ? { name: "seccomp", status: "ok", found: "in the kernel (system calls of containers)" }
      : {
          name: "seccomp",
          status: "missing",
          found: "not in the kernel: containers with the default profile are refused",
          fix: "use a kernel with CONFIG_SECCOMP_FILTER",
        },
  ];
}

async function checkNetwork(home: string): Promise<Check> {
  const name = "network";
  await using network = bridgeNetwork({
    directory: join(home, "network"),
    name: bridgeName(home),
  });
  const { isReady, reason } = await network.condition();
  if (isReady)
    return { name, status: "ok", found: "bridge and packet filter (networks of containers)" };
  return { name, status: "missing", found: "containers have loopback only", fix: reason };
}
