import { access, constants, mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { detectCapabilities, findCommand } from "@longshore/core";
import { probeMounts, type MountMethod } from "@longshore/image-nydus";
import pc from "picocolors";
import { exitCodes } from "../exit-codes.ts";
import { openTerminal } from "../terminal.ts";
import { checkContainers } from "./check-containers.ts";
import type { Check } from "./doctor-check.ts";

interface Tool {
  readonly command: string;
  readonly purpose: string;
  readonly debianPackage: string;
}

const tools: readonly Tool[] = [
  {
    command: "prlimit",
    purpose: "memory and process limits of process.run",
    debianPackage: "util-linux",
  },
  {
    command: "setpriv",
    purpose: "processes that end with their worker",
    debianPackage: "util-linux",
  },
  { command: "python3", purpose: "the python runtime", debianPackage: "python3" },
  { command: "qemu-img", purpose: "reading disk images", debianPackage: "qemu-utils" },
  { command: "debugfs", purpose: "reading files in ext4 images", debianPackage: "e2fsprogs" },
];

/** Tells what this machine can run, and the exact remedy for what it lacks. */
export async function doctor(flags: {
  readonly home: string;
  readonly json?: boolean;
}): Promise<number> {
  const terminal = openTerminal(flags);
  const checks = [
    checkNode(),
    await checkHome(resolve(flags.home)),
    await checkRuntimes(),
    ...(await Promise.all(tools.map(checkTool))),
    await checkDevice("/dev/kvm", "micro-VMs at full speed"),
    ...(await checkMounts(resolve(flags.home))),
    ...(await checkContainers(resolve(flags.home))),
  ];
  const isHealthy = checks.every(({ status }) => status !== "failed");
  if (terminal.isJson) terminal.printJson({ ok: isHealthy, checks });
  else {
    for (const { name, status, found, fix } of checks) {
      const mark = { ok: pc.green("✓"), missing: pc.yellow("–"), failed: pc.red("✗") }[status];
      terminal.print(`${mark} ${name.padEnd(17)} ${found}`);
      if (fix !== undefined) terminal.print(`  ${pc.dim("fix:")} ${fix}`);
    }
  }
  return isHealthy ? exitCodes.ok : exitCodes.failed;
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isNewEnough = major > 22 || (major === 22 && minor >= 22);
  return {
    name: "node",
    status: isNewEnough ? "ok" : "failed",
    found: `${process.version} (22.22 or newer is needed)`,
    ...(!isNewEnough && { fix: "install Node 24 from https://nodejs.org" }),
  };
}

async function checkHome(home: string): Promise<Check> {
  try {
    await mkdir(home, { recursive: true });
    await access(home, constants.R_OK | constants.W_OK);
    return { name: "home", status: "ok", found: home };
  } catch (error) {
    return {
      name: "home",
      status: "failed",
      found: `${home} cannot be written (${error instanceof Error ? error.message : String(error)})`,
      fix: `mkdir -p ${home} && chown $(id -u) ${home}, or set LONGSHORE_HOME`,
    };
  }
}

async function checkRuntimes(): Promise<Check> {
  const { capabilities, warnings } = await detectCapabilities({
    handlers: { operations: () => [] },
    maxConcurrentJobs: 1,
  });
  const found = capabilities.runtimes.map((name) => {
    const version = capabilities.runtimeVersions[name]?.join(", ");
    return version === undefined ? name : `${name} ${version}`;
  });
  return {
    name: "runtimes",
    status: "ok",
    found: [...found, ...warnings.map((warning) => `(${warning})`)].join(" · "),
  };
}

async function checkTool({ command, purpose, debianPackage }: Tool): Promise<Check> {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const file = await findCommand(command, path);
  return file === undefined
    ? {
        name: command,
        status: "missing",
        found: `not found: no ${purpose}`,
        fix: `apt-get install ${debianPackage}`,
      }
    : { name: command, status: "ok", found: `${file} (${purpose})` };
}

const mountPurposes: Readonly<Record<MountMethod, string>> = {
  "erofs-files": "images mounted by the kernel, from files",
  "erofs-loop": "images mounted by the kernel, through loop devices",
  fuse: "images that are loaded on demand",
  nydusd: "images mounted by Nydus' own daemon",
  overlay: "writable root filesystems over mounted images",
  idmap: "mounted root filesystems for user namespaces",
  extract: "root filesystems copied into directories",
};

/** How images can be used here, tried out where they would lie. */
async function checkMounts(home: string): Promise<readonly Check[]> {
  const isUsable = await access(home, constants.W_OK).then(
    () => true,
    () => false,
  );
  const probes = await probeMounts(isUsable ? { directory: home } : {});
  return probes.map(({ method, available, reason, fix }) => {
    const name = `mount-${method}`;
    const purpose = mountPurposes[method];
    if (available) return { name, status: "ok", found: `${reason} (${purpose})` };
    return { name, status: "missing", found: `${reason}: no ${purpose}`, fix: fix ?? "use Linux" };
  });
}

async function checkDevice(path: string, purpose: string): Promise<Check> {
  const name = path.slice("/dev/".length);
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return { name, status: "ok", found: `${path} (${purpose})` };
  } catch {
    // Not there, or not ours to use: the remedy is the same for both.
    return {
      name,
      status: "missing",
      found: `${path} cannot be used: no ${purpose}`,
      fix: `load the kernel module (modprobe ${name}) and let this user open ${path}`,
    };
  }
}
