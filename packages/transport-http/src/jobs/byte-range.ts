import { HttpError } from "../http-error.ts";

/** First and last byte of a part. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The part of a file that a `Range` header asks for (RFC 9110 §14.2); `undefined` for the whole: without a header, and
 * for one that is not understood or names several parts, which a server may leave aside.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` (416) for a part that the file does not have
 */
export function byteRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== "" && last !== "" && Number(last) < start) return undefined;
  if (start < size && !(first === "" && Number(last) === 0)) return { start, end };
  throw new HttpError("VALIDATION_ERROR", `The file has ${size} bytes.`, {
    status: 416,
    headers: { "content-range": `bytes */${size}` },
  });
}
