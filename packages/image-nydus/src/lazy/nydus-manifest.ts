import { z } from "zod";
import { parseBoundedJson } from "../registry/bounded-json.ts";
import type { Descriptor, ImageManifest } from "../registry/manifest.ts";
import { checked } from "../registry/manifest.ts";
import { invalid, shown } from "../registry/registry-errors.ts";

/** Media and artifact types of Nydus images. */
export const nydusTypes = {
  /** A layer that is a data blob */
  blobLayer: "application/vnd.oci.image.layer.nydus.blob.v1",
  /** `artifactType` of a manifest, also in the index that lists it */
  manifest: "application/vnd.nydus.image.manifest.v1+json",
} as const;

/** The mark that older tools put into `os.features` of a Nydus image in an index. */
export const nydusOsFeature = "nydus.remoteimage.v1";

/** Annotations of the layers of Nydus images. */
export const nydusAnnotations = {
  blob: "containerd.io/snapshot/nydus-blob",
  bootstrap: "containerd.io/snapshot/nydus-bootstrap",
  fsVersion: "containerd.io/snapshot/nydus-fs-version",
  reference: "containerd.io/snapshot/nydus-ref",
  encrypted: "containerd.io/snapshot/nydus-encrypted-blob",
  referenceBlobIds: "containerd.io/snapshot/nydus-reference-blob-ids",
} as const;

/** The parts of a Nydus image. */
export interface NydusLayout {
  /** The last layer: a tar with the file system's metadata */
  readonly bootstrap: Descriptor;
  /** Data blobs of the manifest, by id */
  readonly blobs: ReadonlyMap<string, Descriptor>;
  /** Ids of blobs that the image uses besides, which the same repository should have */
  readonly referenceBlobIds: readonly string[];
}

const idsSchema = z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(256);

/** Whether a manifest is that of a Nydus image, of whatever version. */
export function isNydusManifest(manifest: Pick<ImageManifest, "layers">): boolean {
  const last = manifest.layers.at(-1);
  return last !== undefined && isMarked(last, nydusAnnotations.bootstrap);
}

/**
 * The parts of a Nydus image by its manifest.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is none, of a version other than RAFS v6, or of a form that cannot
 *   be loaded on demand: with blobs that refer to compressed OCI layers, or encrypted
 */
export function parseNydusManifest(manifest: Pick<ImageManifest, "layers">): NydusLayout {
  const bootstrap = manifest.layers.at(-1);
  if (bootstrap === undefined || !isMarked(bootstrap, nydusAnnotations.bootstrap)) {
    throw invalid("manifest.layers", "the last layer of a Nydus image is its bootstrap");
  }
  const version = bootstrap.annotations?.[nydusAnnotations.fsVersion] ?? "6";
  if (version !== "6") {
    throw invalid(
      "manifest.layers",
      `only Nydus images of version 6 are read, this one has ${shown(version)}`,
    );
  }
  const blobs = new Map<string, Descriptor>();
  for (const layer of manifest.layers.slice(0, -1)) blobs.set(blobIdOf(layer), layer);
  return { bootstrap, blobs, referenceBlobIds: referenceBlobIds(bootstrap) };
}

function blobIdOf(layer: Descriptor): string {
  const { annotations = {}, mediaType, digest } = layer;
  if (isMarked(layer, nydusAnnotations.bootstrap)) {
    throw invalid("manifest.layers", "a Nydus image has one bootstrap only");
  }
  if (annotations[nydusAnnotations.reference] !== undefined) {
    throw unsupported("refer to compressed OCI layers");
  }
  if (isMarked(layer, nydusAnnotations.encrypted)) throw unsupported("are encrypted");
  if (mediaType !== nydusTypes.blobLayer && !isMarked(layer, nydusAnnotations.blob)) {
    throw invalid("manifest.layers", `a layer of a Nydus image is no blob but ${shown(mediaType)}`);
  }
  if (!digest.startsWith("sha256:")) {
    throw invalid("manifest.layers", `a blob is named by its sha256, not ${shown(digest)}`);
  }
  return digest.slice("sha256:".length);
}

function referenceBlobIds({ annotations = {} }: Descriptor): readonly string[] {
  const text = annotations[nydusAnnotations.referenceBlobIds];
  if (text === undefined || text === "") return [];
  const json = parseBoundedJson(Buffer.from(text), nydusAnnotations.referenceBlobIds);
  return checked(idsSchema, json, nydusAnnotations.referenceBlobIds);
}

function unsupported(what: string): Error {
  return invalid(
    "manifest.layers",
    `blobs that ${what} are not supported; pull the original image`,
  );
}

function isMarked({ annotations }: Descriptor, name: string): boolean {
  return annotations?.[name] === "true";
}
