import { invalid } from "./registry-errors.ts";

/** Largest manifest, index or config that is read, in bytes; registries must take manifests of this size. */
export const maxDocumentBytes: number = 4 * 1_024 * 1_024;
const maxDepth = 64;

/**
 * Parses a JSON document of someone else. Its size and depth are bounded, and it has to be UTF-8.
 *
 * @param what names the document in errors, e.g. `manifest`
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parseBoundedJson(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > maxDocumentBytes) throw documentTooLarge(what);
  if (depthOf(bytes) > maxDepth) throw invalid(what, `is nested deeper than ${maxDepth} levels`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's message quotes the document, which may be anything at all.
    throw invalid(what, "expected a JSON document");
  }
}

/** `VALIDATION_ERROR` for a document that is larger than any honest one. */
export function documentTooLarge(what: string): Error {
  return invalid(what, `is larger than ${maxDocumentBytes} bytes`);
}

/** Deepest nesting of brackets outside of strings. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let isString = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (isString) {
      if (byte === 0x5c) index += 1;
      else if (byte === 0x22) isString = false;
    } else if (byte === 0x22) {
      isString = true;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      deepest = Math.max(deepest, depth);
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    }
  }
  return deepest;
}
