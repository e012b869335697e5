import { execFile } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { findNydusd } from "./mount-nydusd.ts";
import {
  erofsProgram,
  tryProgram,
  tryShiftedErofsProgram,
  tryShiftedFuseProgram,
} from "./mount-programs.ts";
import { failedWith, findPerl, runPerl } from "./perl.ts";
import { probeImage } from "./probe-image.ts";

/** Ways to make a root filesystem out of an image. */
export type MountMethod =
  /** The kernel reads metadata and blobs as files */
  | "erofs-files"
  /** The kernel reads them through loop devices */
  | "erofs-loop"
  /** This process answers the kernel; the only one that loads on demand without other software */
  | "fuse"
  /** Nydus' own daemon answers */
  | "nydusd"
  /** Writable layers over any of them */
  | "overlay"
  /** Owners shifted for a user namespace, by idmapped mounts; see {@link MountProbe.shiftsIds} */
  | "idmap"
  /** A plain directory with copies of all files */
  | "extract";

export interface MountProbe {
  readonly method: MountMethod;
  readonly available: boolean;
  /** Why, or why not */
  readonly reason: string;
  /** What to do about it */
  readonly fix?: string | undefined;
  /** Whether what is mounted so can be shown with shifted owners; absent where that is no question */
  readonly shiftsIds?: boolean | undefined;
}

export interface ProbeMountsOptions extends Abortable {
  /** Where images and layers will lie; tried out in a folder of its own. @default the system's temporary directory */
  readonly directory?: string | undefined;
  /** Whether shifted owners are tried, too (`idmap` and {@link MountProbe.shiftsIds}). @default true */
  readonly triesShifts?: boolean | undefined;
}

/**
 * Finds out what can be mounted here by doing it: each filesystem is really made, but shown nowhere, and gone afterwards.
 */
export async function probeMounts(options: ProbeMountsOptions = {}): Promise<MountProbe[]> {
  const { directory = tmpdir(), triesShifts = true, signal } = options;
  signal?.throwIfAborted();
  const place = await mkdtemp(join(directory, "longshore-probe-"));
  try {
    const [files, loop, fuse, nydusd, overlay, extract] = await Promise.all([
      probeErofsFiles(place),
      probeErofsLoop(place),
      probeFuse(),
      probeNydusd(),
      probeOverlay(place),
      probeExtract(),
    ]);
    signal?.throwIfAborted();
    if (!triesShifts) return [files, loop, fuse, nydusd, overlay, extract];
    const { mounts, idmap } = await probeIdmap(place, [files, loop, fuse, nydusd]);
    signal?.throwIfAborted();
    return [...mounts, overlay, idmap, extract];
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function probeErofsFiles(place: string): Promise<MountProbe> {
  return trial("erofs-files", {
    run: () => tryErofs("files", place),
    fix: "Use Linux 6.12 or later with CONFIG_EROFS_FS_BACKED_BY_FILE; erofs-loop does without.",
  });
}

async function probeErofsLoop(place: string): Promise<MountProbe> {
  return trial("erofs-loop", {
    run: () => tryErofs("loop", place),
    fix: "Use Linux 5.16 or later with EROFS and loop devices (modprobe erofs loop).",
  });
}

async function probeFuse(): Promise<MountProbe> {
  const values = ["fd", "3", "rootmode", "40000", "user_id", "0", "group_id", "0"];
  const run = (): Promise<void> =>
    withFuseDevice((device) =>
      runPerl(tryProgram, ["fuse", ...values], { what: "try FUSE", inherit: device }),
    );
  const fix = "Load the module (modprobe fuse); in a container, pass the device /dev/fuse.";
  return trial("fuse", { run, fix });
}

interface IdmapProbes {
  readonly mounts: readonly MountProbe[];
  readonly idmap: MountProbe;
}

/** Tries to shift owners with each way to mount that works. */
async function probeIdmap(place: string, probes: readonly MountProbe[]): Promise<IdmapProbes> {
  const mounts: MountProbe[] = [];
  const trials: MountProbe[] = [];
  for (const probe of probes) {
    const shifted = probe.available ? await tryShifting(probe.method, place) : undefined;
    if (shifted !== undefined) trials.push(shifted);
    mounts.push(shifted === undefined ? probe : { ...probe, shiftsIds: shifted.available });
  }
  const method = "idmap";
  const able = mounts.filter(({ shiftsIds }) => shiftsIds === true);
  if (able.length > 0) {
    const reason = `it was tried and works with ${able.map((probe) => probe.method).join(", ")}`;
    return { mounts, idmap: { method, available: true, reason } };
  }
  const [{ reason, fix } = { reason: "images cannot be mounted here", fix: undefined }] = trials;
  return { mounts, idmap: { method, available: false, reason, fix } };
}

/** `undefined` for ways that have no say in it. */
async function tryShifting(mount: MountMethod, place: string): Promise<MountProbe | undefined> {
  switch (mount) {
    case "erofs-files":
    case "erofs-loop":
      return trial("idmap", {
        run: () => tryShiftedErofs(mount === "erofs-loop" ? "loop" : "files", place),
        fix: "Use Linux 5.19 or later.",
      });
    case "fuse":
      return trial("idmap", {
        run: () =>
          withFuseDevice((device) =>
            runPerl(tryShiftedFuseProgram, [], { what: "shift owners in FUSE", inherit: device }),
          ),
        fix: "Use Linux 6.12 or later.",
      });
    case "nydusd":
    case "overlay":
    case "idmap":
    case "extract":
      return undefined;
    default:
      return mount satisfies never;
  }
}

async function tryShiftedErofs(backing: "files" | "loop", place: string): Promise<void> {
  const own = join(place, `${backing}-shifted`);
  for (const name of ["shifted", "upper", "work", "merged"]) {
    await mkdir(join(own, name), { recursive: true });
  }
  await runPerl(tryShiftedErofsProgram, [own, backing, ...probeFiles(backing, place)], {
    what: `shift owners in EROFS on ${backing}`,
  });
}

async function withFuseDevice(run: (device: number) => Promise<unknown>): Promise<void> {
  const device = openSync("/dev/fuse", constants.O_RDWR);
  try {
    await run(device);
  } finally {
    closeSync(device);
  }
}

async function probeNydusd(): Promise<MountProbe> {
  const method = "nydusd";
  const file = await findNydusd();
  if (file === undefined) {
    return {
      method,
      available: false,
      reason: "nydusd is not on the PATH",
      fix: "Install Nydus if its daemon is wanted; fuse does the same without it.",
    };
  }
  const run = async (): Promise<void> => {
    // It serves through FUSE, which has a trial of its own.
    closeSync(openSync("/dev/fuse", constants.O_RDWR));
    await promisify(execFile)(file, ["--version"], { timeout: 10_000 });
  };
  const fix = "Install a nydusd that runs here, and give this process the device /dev/fuse.";
  return trial(method, { run, fix, reason: `found at ${file}` });
}

async function probeOverlay(place: string): Promise<MountProbe> {
  const run = async (): Promise<void> => {
    const values: string[] = [];
    for (const role of ["lower", "upper", "work"]) {
      await mkdir(join(place, role), { recursive: true });
      values.push(`${role}dir`, join(place, role));
    }
    await runPerl(tryProgram, ["overlay", ...values], { what: "try an overlay" });
  };
  const fix = "Load the module (modprobe overlay), and keep layers on ext4, xfs or btrfs.";
  return trial("overlay", { run, fix });
}

async function probeExtract(): Promise<MountProbe> {
  return trial("extract", {
    run: async () => {
      await findPerl();
    },
    reason: isRoot()
      ? "files are copied with everything"
      : "files are copied, but without root not their owners, device nodes and privileged attributes",
    fix: "Install the package perl-base.",
    needsRoot: false,
  });
}

interface Trial {
  readonly run: () => Promise<void>;
  readonly fix: string;
  /** @default "it was tried and works" */
  readonly reason?: string | undefined;
  /** @default true */
  readonly needsRoot?: boolean | undefined;
}

async function trial(
  method: MountMethod,
  { run, fix, reason = "it was tried and works", needsRoot = true }: Trial,
): Promise<MountProbe> {
  if (process.platform !== "linux") {
    return { method, available: false, reason: "this is not Linux" };
  }
  if (needsRoot && !isRoot()) {
    return { method, available: false, reason: "it needs root", fix: "Run as root." };
  }
  try {
    await run();
    return { method, available: true, reason };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (isLongshoreError(error, "RUNTIME_NOT_SUPPORTED")) {
      return { method, available: false, reason: message };
    }
    const isForbidden = failedWith(error, "EPERM");
    return {
      method,
      available: false,
      reason: message,
      fix: isForbidden ? "Give the process CAP_SYS_ADMIN in the first user namespace." : fix,
    };
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function tryErofs(backing: "files" | "loop", place: string): Promise<void> {
  const image = probeImage();
  const [bootstrap, device] = probeFiles(backing, place);
  await writeFile(bootstrap, image.bootstrap);
  await writeFile(device, image.device);
  await runPerl(erofsProgram, ["", backing, bootstrap, device], {
    what: `try EROFS on ${backing}`,
  });
}

function probeFiles(backing: "files" | "loop", place: string): readonly [string, string] {
  return [join(place, `${backing}-bootstrap`), join(place, `${backing}-device`)];
}
