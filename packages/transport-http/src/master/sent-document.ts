import type { JobDocument, WireDocument } from "@longshore/core";

/** A name that no document has of itself: what stands under it came in by a submit */
const field = "longshore.dev/sent";

interface Kept extends JobDocument {
  readonly [field]?: WireDocument;
}

/**
 * The document as it is kept. With one whose exact form matters, what came in is kept beside it: a signature covers that,
 * and jobs of version 0 are given it.
 */
export function withSent(document: JobDocument, wire: WireDocument): JobDocument {
  // Whoever wrote this name into a document must not have another one run than the one that is judged.
  const { [field]: _forged, ...own }: Kept = document;
  const isV0 = wire["version"] === undefined && wire["protocol_version"] !== undefined;
  if (document.signature === undefined && !isV0) return own;
  const kept: Kept = { ...own, [field]: wire };
  return kept;
}

/** What a worker is sent instead of the document that is kept. */
export function sentOf(document: JobDocument): WireDocument | undefined {
  const { [field]: sent }: Kept = document;
  return sent;
}
