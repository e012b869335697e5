import { parseBoundedJson } from "../registry/bounded-json.ts";
import { digestOf } from "../registry/digest.ts";
import type { Descriptor } from "../registry/manifest.ts";
import { mediaTypes } from "../registry/media-types.ts";

/** A layer as the configuration of an image tells of it. */
export interface DescribedLayer {
  readonly diffId: string;
  /** What it is, for people who look at the image's history */
  readonly comment: string;
}

/** A configuration, ready to be written. */
export interface PackedConfig {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** What entries of the history that are made here are known by when the image is published again */
const creator = "longshore image push";

/**
 * The configuration of an image with other layers. Only `rootfs` and `history` change: the steps that made the image stay,
 * as steps without a layer, and each new layer is one more. Doing it twice gives the same as doing it once.
 *
 * @param config as it came
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is no JSON object
 */
export function rewriteConfig(config: Buffer, layers: readonly DescribedLayer[]): PackedConfig {
  const file = { ...(parseBoundedJson(config, "config") as Readonly<Record<string, unknown>>) };
  const { created } = file;
  const before = Array.isArray(file["history"]) ? (file["history"] as readonly object[]) : [];
  const steps = before.filter((step) => !("created_by" in step) || step.created_by !== creator);
  file["rootfs"] = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  file["history"] = [
    ...steps.map(withoutLayer),
    ...layers.map(({ comment }) => ({
      // The time of the image, not of now: the same image has the same configuration.
      ...(typeof created === "string" && { created }),
      created_by: creator,
      comment,
    })),
  ];
  const bytes = Buffer.from(JSON.stringify(file));
  const { ociConfig: mediaType } = mediaTypes;
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

function withoutLayer(step: object): object {
  return { ...step, empty_layer: true };
}
