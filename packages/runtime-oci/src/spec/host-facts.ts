import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { hostname, release } from "node:os";
import { parseCapabilityMask, type CapabilityName } from "./capability-names.ts";
import { parseMountInfo, type MountInfo } from "./mount-info.ts";
import { defaultRuntimeFeatures, type RuntimeFeatures } from "./runtime-features.ts";

/** What of this machine, and of the rights of this program on it, decides about containers. */
export interface HostFacts {
  /** The program's bounding set */
  readonly boundingCapabilities: ReadonlySet<CapabilityName>;
  /** Whether it may raise hard limits and lower OOM scores */
  readonly hasSysResource: boolean;
  readonly isRoot: boolean;
  /** Its own, -1000–1000 */
  readonly oomScoreAdj: number;
  /** Hard limits by `RLIMIT_…` name; `Infinity` for none */
  readonly hardRlimits: ReadonlyMap<string, number>;
  /** 1 for the hybrid layout as well: limits are set in v1 then */
  readonly cgroupVersion: 1 | 2;
  /** Controllers that limits can be set with, e.g. `memory` */
  readonly controllers: ReadonlySet<string>;
  /** Whether memory and swap together can be limited */
  readonly hasSwapLimit: boolean;
  /** Names of loaded AppArmor profiles; absent when AppArmor is off */
  readonly appArmorProfiles?: ReadonlySet<string> | undefined;
  readonly hasSelinux: boolean;
  readonly hasSeccomp: boolean;
  /** As `process.arch` */
  readonly architecture: string;
  /** e.g. `[6, 1]` */
  readonly kernelVersion: readonly [major: number, minor: number];
  readonly hostname: string;
  /** What the OCI runtime can do */
  readonly runtime: RuntimeFeatures;
}

/**
 * Reads the facts. They change only with the program's rights, its cgroup and the machine's mounts, so one reading serves
 * for many containers.
 */
export async function readHostFacts(
  runtime: RuntimeFeatures = defaultRuntimeFeatures,
): Promise<HostFacts> {
  const status = await readFile("/proc/self/status", "utf8");
  const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  const [major = 0, minor = 0] = release()
    .split(".")
    .map((part) => Number.parseInt(part, 10));
  const isRoot = process.geteuid?.() === 0;
  return {
    boundingCapabilities: capabilities(status, "CapBnd"),
    hasSysResource: capabilities(status, "CapEff").has("SYS_RESOURCE"),
    isRoot,
    oomScoreAdj: Number(await readFile("/proc/self/oom_score_adj", "utf8")),
    hardRlimits: parseLimits(await readFile("/proc/self/limits", "utf8")),
    ...(await readCgroups(mounts, isRoot)),
    appArmorProfiles: await readAppArmorProfiles(),
    hasSelinux: await canAccess("/sys/fs/selinux/enforce", constants.F_OK),
    hasSeccomp: /^Seccomp:/m.test(status),
    architecture: process.arch,
    kernelVersion: [major, minor],
    hostname: hostname(),
    runtime,
  };
}

function capabilities(status: string, set: string): ReadonlySet<CapabilityName> {
  const mask = new RegExp(String.raw`^${set}:\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
  return parseCapabilityMask(mask ?? "0");
}

/** Rows of `/proc/PID/limits`, by the names that setrlimit(2) has for them. */
const rlimitNames: Readonly<Record<string, string>> = {
  "Max cpu time": "RLIMIT_CPU",
  "Max file size": "RLIMIT_FSIZE",
  "Max data size": "RLIMIT_DATA",
  "Max stack size": "RLIMIT_STACK",
  "Max core file size": "RLIMIT_CORE",
  "Max resident set": "RLIMIT_RSS",
  "Max processes": "RLIMIT_NPROC",
  "Max open files": "RLIMIT_NOFILE",
  "Max locked memory": "RLIMIT_MEMLOCK",
  "Max address space": "RLIMIT_AS",
  "Max file locks": "RLIMIT_LOCKS",
  "Max pending signals": "RLIMIT_SIGPENDING",
  "Max msgqueue size": "RLIMIT_MSGQUEUE",
  "Max nice priority": "RLIMIT_NICE",
  "Max realtime priority": "RLIMIT_RTPRIO",
  "Max realtime timeout": "RLIMIT_RTTIME",
};

function parseLimits(text: string): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, row = "", hard = ""] = /^(.+?) {2,}\S+ +(\S+)/.exec(line) ?? [];
    const name = rlimitNames[row];
    if (name !== undefined) limits.set(name, hard === "unlimited" ? Infinity : Number(hard));
  }
  return limits;
}

type CgroupFacts = Pick<HostFacts, "cgroupVersion" | "controllers" | "hasSwapLimit">;

async function readCgroups(mounts: readonly MountInfo[], isRoot: boolean): Promise<CgroupFacts> {
  const root = mounts.findLast(({ mountPoint }) => mountPoint === "/sys/fs/cgroup");
  if (root?.filesystem === "cgroup2") {
    return { cgroupVersion: 2, controllers: await readV2Controllers(isRoot), hasSwapLimit: true };
  }
  // v1 hands nothing to unprivileged users.
  const v1 = isRoot ? mounts.filter(({ filesystem }) => filesystem === "cgroup") : [];
  const memory = v1.find(({ superOptions }) => superOptions.includes("memory"));
  return {
    cgroupVersion: 1,
    controllers: new Set(v1.flatMap(({ superOptions }) => superOptions)),
    hasSwapLimit:
      memory !== undefined &&
      (await canAccess(`${memory.mountPoint}/memory.memsw.limit_in_bytes`, constants.R_OK)),
  };
}

/** Those of the root, or for another user those of its own cgroup when that was handed to it. */
async function readV2Controllers(isRoot: boolean): Promise<ReadonlySet<string>> {
  const own = /^0::(.*)$/m.exec(await readFile("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
  const directory = isRoot ? "/sys/fs/cgroup" : `/sys/fs/cgroup${own}`;
  if (!(await canAccess(`${directory}/cgroup.procs`, constants.W_OK))) return new Set();
  const names = await readFile(`${directory}/cgroup.controllers`, "utf8");
  return new Set(names.split(/\s+/).filter((name) => name !== ""));
}

async function readAppArmorProfiles(): Promise<ReadonlySet<string> | undefined> {
  const enabled = await readOptional("/sys/module/apparmor/parameters/enabled");
  if (enabled?.trim() !== "Y") return undefined;
  const profiles = (await readOptional("/sys/kernel/security/apparmor/profiles")) ?? "";
  return new Set(profiles.split("\n").map((line) => line.replace(/ \([a-z]+\)$/, "")));
}

async function readOptional(path: string): Promise<string | undefined> {
  return (await canAccess(path, constants.R_OK)) ? readFile(path, "utf8") : undefined;
}

async function canAccess(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
