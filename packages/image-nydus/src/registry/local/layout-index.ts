import type { Descriptor } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { refNameAnnotation } from "./local-images.ts";

/** Content of the file `oci-layout`. */
export const layoutMarker: Buffer = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

/** Entries of an index.json as they stand in it, what we do not know of included. */
export type LayoutEntry = Descriptor & Readonly<Record<string, unknown>>;

/** The entries with one more. It takes its name from the one that had it; the same entry is not there twice. */
export function withEntry(
  entries: readonly LayoutEntry[],
  descriptor: Descriptor,
  name: string | undefined,
): readonly LayoutEntry[] {
  const entry: LayoutEntry = {
    ...descriptor,
    ...(name !== undefined && { annotations: { [refNameAnnotation]: name } }),
  };
  if (name === undefined && entries.some(({ digest }) => digest === descriptor.digest)) {
    return entries;
  }
  const others = entries.filter((other) => {
    const otherName = other.annotations?.[refNameAnnotation];
    const isNowNamed = other.digest === descriptor.digest && otherName === undefined;
    return !isNowNamed && (name === undefined || otherName !== name);
  });
  return [...others, entry];
}

/** Bytes of an index.json. */
export function layoutIndex(entries: readonly LayoutEntry[]): Buffer {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  return Buffer.from(JSON.stringify(index));
}
