import { describe, expect, test } from "vitest";
import { hostPlatform, parsePlatform, type Descriptor } from "../../src/registry/index.ts";
import { formatPlatform, platformRank, type Platform } from "../../src/registry/platform.ts";
import { listPlatforms, matchPlatform } from "../../src/registry/select-platform.ts";

const digest = `sha256:${"0".repeat(64)}`;
const mediaType = "application/vnd.oci.image.manifest.v1+json";

function entry(
  platform: string | Platform | undefined,
  extra: Partial<Descriptor> = {},
): Descriptor {
  const parsed = typeof platform === "string" ? parsePlatform(platform) : platform;
  return { mediaType, digest, size: 1, ...(parsed && { platform: parsed }), ...extra };
}

function best(wanted: string | Platform, ...offered: readonly (string | Platform)[]): string {
  const platform = typeof wanted === "string" ? parsePlatform(wanted) : wanted;
  const [first] = matchPlatform(
    offered.map((one) => entry(one)),
    { platform },
  ).matching;
  return first?.platform === undefined ? "nothing" : formatPlatform(first.platform);
}

describe("the image for a platform", () => {
  test.for([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"],
    ["linux/amd64", ["linux/arm64", "windows/amd64"], "nothing"],
    ["linux/amd64", ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"], "linux/amd64"],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"],
    ["linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm64/v8", ["linux/arm64"], "linux/arm64"],
    ["linux/arm64/v8", ["linux/arm64/v8.1"], "nothing"],
    ["linux/arm64/v9", ["linux/arm64/v8"], "linux/arm64/v8"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"],
    ["linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"],
    ["linux/arm", ["linux/arm/v7"], "linux/arm/v7"],
    ["linux/arm64", ["linux/arm/v7"], "nothing"],
    ["linux/mips/softfloat", ["linux/mips/hardfloat"], "nothing"],
    ["linux/mips/softfloat", ["linux/mips/softfloat"], "linux/mips/softfloat"],
  ] as const)("%s out of %j is %s", ([wanted, offered, expected]) => {
    expect(best(wanted, ...offered)).toBe(expected);
  });

  test("asks for no feature that the system does not have, and takes the one with most of them", () => {
    const plain = parsePlatform("linux/amd64");
    const featured = { ...plain, osFeatures: ["nydus.remoteimage.v1"] };
    expect(best(plain, featured)).toBe("nothing");
    expect(best(plain, featured, plain)).toBe("linux/amd64");
    expect(best(featured, plain, featured)).toBe("linux/amd64 (nydus.remoteimage.v1)");
    expect(best(featured, plain)).toBe("linux/amd64");
  });

  test("is for the wanted version of the system, when there is one", () => {
    const windows = parsePlatform("windows/amd64");
    const old = { ...windows, osVersion: "10.0.17763" };
    const current = { ...windows, osVersion: "10.0.20348" };
    expect(best(current, old, windows, current)).toBe("windows/amd64 (10.0.20348)");
    expect(best(current, old)).toBe("nothing");
    expect(best(current, old, windows)).toBe("windows/amd64");
  });

  test("is never an attestation, an artifact, or one for unknown", () => {
    const platform = parsePlatform("linux/amd64");
    const entries = [
      entry("unknown/unknown"),
      entry("linux/amd64", {
        annotations: { "vnd.docker.reference.type": "attestation-manifest" },
      }),
      entry("linux/amd64", { artifactType: "application/vnd.nydus.image.manifest.v1+json" }),
      entry("linux/amd64", { mediaType: "application/vnd.in-toto+json" }),
    ];
    const none = { matching: [], unlabelled: [], nested: [] };
    expect(matchPlatform(entries, { platform })).toEqual(none);
    expect(listPlatforms(entries)).toBe("none");
    const artifactType = "application/vnd.nydus.image.manifest.v1+json";
    expect(matchPlatform(entries, { platform, artifactType }).matching).toEqual([entries[2]]);
    const image = entry("linux/amd64", {
      artifactType: "application/vnd.oci.image.config.v1+json",
    });
    expect(matchPlatform([image], { platform }).matching).toEqual([image]);
  });

  test("is not guessed from entries that do not say what they are for", () => {
    const matches = matchPlatform([entry(undefined)], { platform: parsePlatform("linux/amd64") });
    expect(matches).toMatchObject({ matching: [], unlabelled: [{ digest }] });
  });
});

describe("parsePlatform", () => {
  test("knows names of kernels and of Docker", () => {
    expect(parsePlatform("aarch64")).toEqual({ os: "linux", architecture: "arm64" });
    expect(parsePlatform("Linux/x86_64")).toEqual({ os: "linux", architecture: "amd64" });
    expect(platformRank(hostPlatform(), hostPlatform())).toBeDefined();
  });

  test.for(["", "a/b/c/d", "linux/", "linux/../x", "linux/a b"])("refuses %j", (text) => {
    expect(() => parsePlatform(text)).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });
});
