import { endianness } from "node:os";
import { invalid, shown } from "./registry-errors.ts";

/** What a system needs to be to run an image, in the names of Go. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Version of the architecture, e.g. `v7` of `arm` */
  readonly variant?: string | undefined;
  /** Windows builds */
  readonly osVersion?: string | undefined;
  /** Abilities of the system that an image may ask for */
  readonly osFeatures?: readonly string[] | undefined;
}

const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  arm64: "arm64",
  arm: "arm",
  loong64: "loong64",
  riscv64: "riscv64",
  s390x: "s390x",
};

const aliases: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  i386: "386",
  aarch64: "arm64",
  armhf: "arm",
};

/** Linux on this machine's processor: what containers and VMs here run, whatever the host's own system is. */
export function hostPlatform(): Platform {
  const { arch } = process;
  if (arch === "ppc64") {
    return { os: "linux", architecture: endianness() === "LE" ? "ppc64le" : "ppc64" };
  }
  return { os: "linux", architecture: architectures[arch] ?? arch };
}

/**
 * Reads `os/architecture[/variant]`, or an architecture alone for Linux.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const [first = "", second, variant] = parts;
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(part))) {
    throw invalid("platform", `expected os/architecture[/variant], got ${shown(text)}`);
  }
  const architecture = (second ?? first).toLowerCase();
  return {
    os: second === undefined ? "linux" : first.toLowerCase(),
    architecture: aliases[architecture] ?? architecture,
    ...(variant !== undefined && { variant: variant.toLowerCase() }),
  };
}

/** `linux/arm/v7`, with what else the platform asks for in brackets. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, osVersion, osFeatures = [] } = platform;
  const extras = [...(osVersion === undefined ? [] : [osVersion]), ...osFeatures];
  const name = [os, architecture, ...(variant === undefined ? [] : [variant])].join("/");
  return extras.length === 0 ? name : `${name} (${extras.join(", ")})`;
}

/** Variants that an architecture means when it names none. */
const defaultVariants: Readonly<Record<string, number>> = { amd64: 1, arm: 7, arm64: 8 };

/**
 * How well an image for `offered` runs on `wanted`: the higher the better, undefined: not at all.
 *
 * A processor runs older variants of its architecture, so that an `arm/v7` takes `v7`, then `v6`, then `v5`. A system
 * without a wanted version or feature does not run images that ask for one.
 */
export function platformRank(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
  const variant = variantRank(wanted, offered);
  if (variant === undefined) return undefined;

  const offeredFeatures = offered.osFeatures ?? [];
  const features = new Set(wanted.osFeatures);
  if (!offeredFeatures.every((feature) => features.has(feature))) return undefined;

  const hasVersion = offered.osVersion !== undefined && offered.osVersion !== "";
  if (hasVersion && wanted.osVersion !== undefined && wanted.osVersion !== offered.osVersion) {
    return undefined;
  }
  const version = hasVersion === (wanted.osVersion !== undefined) ? 1 : 0;
  return variant * 10_000 + Math.min(offeredFeatures.length, 999) * 10 + version;
}

function variantRank(wanted: Platform, offered: Platform): number | undefined {
  const wantedVersion = variantVersion(wanted);
  const offeredVersion = variantVersion(offered);
  if (wantedVersion === undefined || offeredVersion === undefined) {
    return (wanted.variant ?? "") === (offered.variant ?? "") ? 1 : undefined;
  }
  return offeredVersion <= wantedVersion ? 1 + offeredVersion : undefined;
}

/** `v8.2` as 8.2; 0 for an architecture without variants; undefined for names that have no order. */
function variantVersion({ architecture, variant }: Platform): number | undefined {
  if (variant === undefined || variant === "") return defaultVariants[architecture] ?? 0;
  const match = /^v?(\d{1,3})(?:\.(\d{1,2}))?$/.exec(variant);
  return match === null ? undefined : Number(match[1]) + Number(match[2] ?? 0) / 100;
}
