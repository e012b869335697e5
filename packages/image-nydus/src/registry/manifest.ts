import { z } from "zod";
import { parseBoundedJson } from "./bounded-json.ts";
import { digestOf, isDigest } from "./digest.ts";
import { isIndexType, isManifestType, mediaTypes } from "./media-types.ts";
import type { Platform } from "./platform.ts";
import { invalid, shown } from "./registry-errors.ts";

/** Points to bytes: their type, digest and size. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:…` */
  readonly digest: string;
  /** Bytes */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What a manifest is, when it is not an image */
  readonly artifactType?: string | undefined;
  /** What a manifest in an index runs on */
  readonly platform?: Platform | undefined;
  /** Where else the bytes could be had; never followed */
  readonly urls?: readonly string[] | undefined;
}

/** The manifest of one image. Fields that are not named here are kept, too. */
export interface ImageManifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  /** Lowest first */
  readonly layers: readonly Descriptor[];
  /** The manifest that this one says something about */
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A list of manifests, usually one per platform. Fields that are not named here are kept, too. */
export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

interface Document {
  readonly descriptor: Descriptor;
  /** As they came: what the digest is of */
  readonly bytes: Buffer;
}

export interface ManifestDocument extends Document {
  readonly kind: "manifest";
  readonly manifest: ImageManifest;
}

export interface IndexDocument extends Document {
  readonly kind: "index";
  readonly index: ImageIndex;
}

/** A parsed manifest or index together with its bytes. */
export type AnyManifest = ManifestDocument | IndexDocument;

const maxEntries = 4_096;

/** Writers in Go spell an absent list or map as null. */
const maybe = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

const textSchema = z.string().max(65_536);
const typeSchema = z.string().min(1).max(255);
const annotationsSchema = z.record(z.string(), z.string());

const platformSchema = z
  .looseObject({
    os: z.string().max(255).default(""),
    architecture: z.string().max(255).default(""),
    variant: z.string().max(255).nullish(),
    "os.version": z.string().max(255).nullish(),
    "os.features": z.array(z.string().max(255)).max(256).nullish(),
  })
  .transform((wire): Platform => {
    const { os, architecture, variant } = wire;
    const osVersion = wire["os.version"];
    const osFeatures = wire["os.features"];
    return {
      os,
      architecture,
      ...(typeof variant === "string" && variant !== "" && { variant }),
      ...(typeof osVersion === "string" && osVersion !== "" && { osVersion }),
      ...(osFeatures && osFeatures.length > 0 && { osFeatures }),
    };
  });

/** A descriptor as it stands in manifests. */
const descriptorSchema: z.ZodType<Descriptor> = z.looseObject({
  mediaType: typeSchema,
  digest: z.string().refine(isDigest, "expected a sha256 or sha512 digest"),
  size: z.int().nonnegative(),
  annotations: maybe(annotationsSchema),
  artifactType: maybe(typeSchema),
  platform: maybe(platformSchema),
  urls: maybe(z.array(textSchema).max(64)),
});

const commonFields = {
  schemaVersion: z.literal(2),
  mediaType: maybe(typeSchema),
  artifactType: maybe(typeSchema),
  subject: maybe(descriptorSchema),
  annotations: maybe(annotationsSchema),
};

/** An image manifest, OCI or Docker schema 2. */
const manifestSchema: z.ZodType<ImageManifest> = z.looseObject({
  ...commonFields,
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(maxEntries),
});

/** An image index, or a manifest list of Docker. */
export const indexSchema: z.ZodType<ImageIndex> = z.looseObject({
  ...commonFields,
  manifests: z.array(descriptorSchema).max(maxEntries),
});

const shapeSchema = z.looseObject({
  schemaVersion: z.unknown(),
  mediaType: z.string().nullish(),
});

/**
 * Parses a manifest or an index.
 *
 * @param claimedType media type by the descriptor or the header that led here; an unknown one says nothing
 * @throws {LongshoreError} `VALIDATION_ERROR`, also for a document that can be read as both
 */
export function parseManifest(
  bytes: Buffer,
  claimedType?: string,
  digest: string = digestOf(bytes),
): AnyManifest {
  const json = shapeOf(parseBoundedJson(bytes, "manifest"));
  const claims = new Set(
    [json.mediaType ?? "", claimedType ?? ""].filter(
      (type) => isIndexType(type) || isManifestType(type),
    ),
  );
  if (claims.size > 1) {
    throw invalid("manifest.mediaType", `is said to be ${[...claims].join(" and ")}`);
  }
  const isIndex = "manifests" in json;
  if (isIndex && ("layers" in json || "config" in json)) {
    throw invalid("manifest", "is an index and an image manifest in one, and must not be");
  }
  const [type] = claims;
  if (type !== undefined && isIndexType(type) !== isIndex) {
    throw invalid("manifest", `is not a ${type}`);
  }
  const mediaType = type ?? (isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest);
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
  return isIndex
    ? { kind: "index", index: checked(indexSchema, json, "index"), descriptor, bytes }
    : { kind: "manifest", manifest: checked(manifestSchema, json, "manifest"), descriptor, bytes };
}

function shapeOf(json: unknown): z.infer<typeof shapeSchema> {
  const shape = checked(shapeSchema, json, "manifest");
  if (shape.schemaVersion === 1) {
    throw invalid("manifest.schemaVersion", "Docker's schema 1 is not supported, push it anew");
  }
  const { mediaType } = shape;
  if (typeof mediaType === "string" && !isIndexType(mediaType) && !isManifestType(mediaType)) {
    throw invalid("manifest.mediaType", `expected a manifest or an index, got ${shown(mediaType)}`);
  }
  return shape;
}

/** What a schema makes of a value of someone else; `VALIDATION_ERROR` names the first thing that is wrong. */
export function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = (issue?.path ?? []).map(String).join(".").slice(0, 200);
  throw invalid(path === "" ? what : `${what}.${path}`, issue?.message ?? "is not valid");
}
