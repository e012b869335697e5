import { describe, expect, it } from "vitest";
import {
  findNydusManifest,
  nydusEntries,
  nydusReferrers,
} from "../../src/lazy/find-nydus-manifest.ts";
import {
  isNydusManifest,
  nydusAnnotations,
  nydusOsFeature,
  nydusTypes,
  parseNydusManifest,
} from "../../src/lazy/nydus-manifest.ts";
import { parseManifest, type AnyManifest, type Descriptor } from "../../src/registry/manifest.ts";
import { mediaTypes } from "../../src/registry/media-types.ts";

const digestOf = (seed: string): string => `sha256:${seed.repeat(64).slice(0, 64)}`;

const blob = (seed: string, annotations: Record<string, string> = {}): Descriptor => ({
  mediaType: nydusTypes.blobLayer,
  digest: digestOf(seed),
  size: 10,
  annotations: { [nydusAnnotations.blob]: "true", ...annotations },
});

const bootstrap = (annotations: Record<string, string> = {}): Descriptor => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf("b"),
  size: 10,
  annotations: {
    [nydusAnnotations.bootstrap]: "true",
    [nydusAnnotations.fsVersion]: "6",
    ...annotations,
  },
});

const plainLayer: Descriptor = {
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf("c"),
  size: 1,
};

function document(layers: readonly Descriptor[]): AnyManifest {
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf("d"), size: 2 };
  return parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers })));
}

function entry(seed: string, more: Partial<Descriptor> = {}): Descriptor {
  const platform = { os: "linux", architecture: "amd64" };
  return { mediaType: mediaTypes.ociManifest, digest: digestOf(seed), size: 5, platform, ...more };
}

const amd64 = { os: "linux", architecture: "amd64" };

describe("parseNydusManifest", () => {
  it("finds blobs by id, the bootstrap, and blobs of other images", () => {
    const ids = JSON.stringify(["e".repeat(64)]);
    const last = bootstrap({ [nydusAnnotations.referenceBlobIds]: ids });
    const layout = parseNydusManifest({ layers: [blob("1"), blob("2"), last] });
    expect(layout.bootstrap).toBe(last);
    expect([...layout.blobs.keys()]).toEqual(["1".repeat(64), "2".repeat(64)]);
    expect(layout.referenceBlobIds).toEqual(["e".repeat(64)]);
  });

  it("knows a Nydus image from another one", () => {
    expect(isNydusManifest({ layers: [blob("1"), bootstrap()] })).toBe(true);
    expect(isNydusManifest({ layers: [plainLayer] })).toBe(false);
    expect(isNydusManifest({ layers: [] })).toBe(false);
  });

  it.each([
    ["no bootstrap at the end", [bootstrap(), blob("1")]],
    ["two bootstraps", [bootstrap(), bootstrap()]],
    ["an ordinary layer", [plainLayer, bootstrap()]],
    ["RAFS v5", [bootstrap({ [nydusAnnotations.fsVersion]: "5" })]],
    ["Nydus v3", [bootstrap({ [nydusAnnotations.fsVersion]: "7" })]],
    ["blobs that are OCI layers", [blob("1", { [nydusAnnotations.reference]: "x" }), bootstrap()]],
    ["encrypted blobs", [blob("1", { [nydusAnnotations.encrypted]: "true" }), bootstrap()]],
    ["a list of ids that is none", [bootstrap({ [nydusAnnotations.referenceBlobIds]: "[1]" })]],
    ["no layers", []],
  ])("refuses a manifest with %s", (_, layers) => {
    expect(() => parseNydusManifest({ layers })).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });
});

describe("findNydusManifest", () => {
  const osFeatures = [nydusOsFeature];
  const index = {
    schemaVersion: 2,
    manifests: [
      entry("1"),
      entry("2", { platform: { ...amd64, osFeatures } }),
      entry("3", { artifactType: nydusTypes.manifest }),
      entry("4", {
        artifactType: nydusTypes.manifest,
        platform: { os: "linux", architecture: "arm64" },
      }),
    ],
  } as const;

  it("prefers the new mark to the old one, for the wanted platform only", () => {
    const found = nydusEntries(index, amd64).map(({ digest }) => digest);
    expect(found).toEqual([digestOf("3"), digestOf("2")]);
    expect(nydusEntries(index, { os: "linux", architecture: "s390x" })).toEqual([]);
  });

  it("looks at marked referrers first, and not at any number of them", () => {
    const many = Array.from({ length: 50 }, (_, at) => entry(String(at % 10)));
    const found = nydusReferrers([...many, entry("f", { artifactType: nydusTypes.manifest })]);
    expect(found[0]?.digest).toBe(digestOf("f"));
    expect(found).toHaveLength(8);
  });

  const nydus = document([blob("1"), bootstrap()]);
  const ordinary = document([plainLayer]);
  const source = (
    manifests: Record<string, AnyManifest>,
    referrers: readonly Descriptor[] = [],
  ) => ({
    fetchManifest: (descriptor?: Pick<Descriptor, "digest">) => {
      const found = manifests[descriptor?.digest ?? ""];
      return found ? Promise.resolve(found) : Promise.reject(new Error("not to be asked for"));
    },
    listReferrers: () => Promise.resolve(referrers),
  });

  it("takes a name that stands for a Nydus image", async () => {
    const options = { platform: amd64 };
    expect(await findNydusManifest(source({}), { top: nydus }, options)).toBe(nydus);
  });

  it("takes the entry of an index whose manifest is one", async () => {
    // In JSON, features have another name than here.
    const wire = JSON.stringify(index).replaceAll('"osFeatures"', '"os.features"');
    const top = parseManifest(Buffer.from(wire));
    const manifests = { [digestOf("3")]: ordinary, [digestOf("2")]: nydus };
    expect(await findNydusManifest(source(manifests), { top }, { platform: amd64 })).toBe(nydus);
  });

  it("takes a referrer, and nothing when there is none", async () => {
    const original = { digest: digestOf("9") };
    const found = { top: ordinary, original };
    const with1 = source({ [digestOf("5")]: ordinary, [digestOf("6")]: nydus }, [
      entry("5"),
      entry("6"),
    ]);
    expect(await findNydusManifest(with1, found, { platform: amd64 })).toBe(nydus);
    expect(await findNydusManifest(source({}), found, { platform: amd64 })).toBeUndefined();
  });
});
