import type { ByteString } from "../tree/inode.ts";
import type { TarFailure } from "./tar-error.ts";
import type { TarLimits } from "./tar-limits.ts";
import { parseDecimal } from "./tar-number.ts";

/** What a PAX header says, as far as it is of use. */
export interface PaxRecords {
  /** Values by keyword; an empty one takes back what the header, or a global PAX header, says */
  readonly values: ReadonlyMap<string, Buffer>;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
  /** Offsets and sizes in turns, from the repeated keywords of the oldest format of sparse files */
  readonly sparseRuns: readonly number[];
}

const noXattrs: ReadonlyMap<ByteString, Buffer> = new Map();

/** The records of no header. */
export const noPaxRecords: PaxRecords = { values: new Map(), xattrs: noXattrs, sparseRuns: [] };

const usedKeywords: ReadonlySet<string> = new Set([
  "path",
  "linkpath",
  "size",
  "uid",
  "gid",
  "mtime",
  "SCHILY.devmajor",
  "SCHILY.devminor",
  "GNU.sparse.major",
  "GNU.sparse.minor",
  "GNU.sparse.name",
  "GNU.sparse.size",
  "GNU.sparse.realsize",
  "GNU.sparse.map",
]);

const maxLengthDigits = 10;

/** More names would not fit in what Linux lists of a file either, and each entry takes over those of global headers. */
const maxXattrs = 1_024;

/**
 * Parses the body of a PAX header: records `length keyword=value\n`. Values are bytes, any byte, so that only the length
 * tells where one ends. What is kept is copied from the body.
 *
 * @throws {LongshoreError} the failure, when the body is malformed
 */
export function parsePaxRecords(body: Buffer, failure: TarFailure): PaxRecords {
  const values = new Map<string, Buffer>();
  const xattrs = new Map<ByteString, Buffer>();
  const libarchiveXattrs = new Map<ByteString, Buffer>();
  const sparseRuns: number[] = [];
  for (let start = 0; start < body.length;) {
    const { keyword, value, end } = nextRecord(body, start, failure);
    start = end;
    if (keyword.startsWith("SCHILY.xattr.")) {
      xattrs.set(keyword.slice(13), Buffer.from(value));
    } else if (keyword.startsWith("LIBARCHIVE.xattr.")) {
      const base64 = value.toString("latin1");
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw failure(`${keyword} is not base64`);
      libarchiveXattrs.set(keyword.slice(17), Buffer.from(base64, "base64"));
    } else if (keyword === "GNU.sparse.offset" || keyword === "GNU.sparse.numbytes") {
      const number = parseDecimal(value.toString("latin1"));
      const isOffset = keyword === "GNU.sparse.offset";
      if (number === undefined || (sparseRuns.length % 2 === 0) !== isOffset) {
        throw failure(`${keyword} is out of turn or no number`);
      }
      sparseRuns.push(number);
    } else if (usedKeywords.has(keyword)) {
      values.set(keyword, Buffer.from(value));
    }
  }
  // bsdtar writes each attribute in both ways, and encodes its name even where nobody else expects it.
  for (const [encodedName, value] of libarchiveXattrs) {
    if (xattrs.get(encodedName)?.equals(value) === true) xattrs.delete(encodedName);
    const name = decodeUrl(encodedName);
    if (!xattrs.has(name)) xattrs.set(name, value);
  }
  return { values, xattrs, sparseRuns };
}

/** Lays records over others, e.g. those of an entry over the global ones. */
export function mergePaxRecords(lower: PaxRecords, upper: PaxRecords): PaxRecords {
  if (lower === noPaxRecords) return upper;
  if (upper === noPaxRecords) return lower;
  return {
    values: new Map([...lower.values, ...upper.values]),
    xattrs: mergeXattrs(lower.xattrs, upper.xattrs),
    sparseRuns: upper.sparseRuns,
  };
}

/** Throws when extended attributes are none, or are too many or too big. */
export function checkXattrs(
  xattrs: ReadonlyMap<ByteString, Buffer>,
  limits: TarLimits,
  failure: TarFailure,
): void {
  if (xattrs.size > maxXattrs) throw failure(`it has more than ${maxXattrs} extended attributes`);
  let total = 0;
  for (const [name, { length }] of xattrs) {
    const quoted = JSON.stringify(name.slice(0, 256));
    if (name === "" || name.length > 255 || name.includes("\0")) {
      throw failure(`an extended attribute is named ${quoted}`);
    }
    if (length > limits.maxXattrValueBytes) {
      const problem = `the extended attribute ${quoted} has ${length} bytes, more than ${limits.maxXattrValueBytes}`;
      throw failure(problem, "maxXattrValueBytes");
    }
    total += name.length + length;
  }
  if (total > limits.maxXattrBytes) {
    const problem = `its extended attributes have ${total} bytes, more than ${limits.maxXattrBytes}`;
    throw failure(problem, "maxXattrBytes");
  }
}

function mergeXattrs(
  lower: PaxRecords["xattrs"],
  upper: PaxRecords["xattrs"],
): PaxRecords["xattrs"] {
  if (lower.size === 0) return upper;
  return upper.size === 0 ? lower : new Map([...lower, ...upper]);
}

interface PaxRecord {
  readonly keyword: string;
  readonly value: Buffer;
  readonly end: number;
}

function nextRecord(body: Buffer, start: number, failure: TarFailure): PaxRecord {
  let length = 0;
  let at = start;
  for (; at < start + maxLengthDigits; at++) {
    const byte = body[at] ?? 0;
    if (byte < 0x30 || byte > 0x39) break;
    length = length * 10 + (byte - 0x30);
  }
  if (at === start || body[at] !== 0x20) {
    throw failure("a PAX record does not begin with its length");
  }
  const end = start + length;
  if (end > body.length || end < at + 3 || body[end - 1] !== 0x0a) {
    throw failure(`the length of a PAX record is wrong: ${length}`);
  }
  const equals = body.indexOf(0x3d, at + 1);
  if (equals === -1 || equals >= end || equals === at + 1) {
    throw failure("a PAX record has no keyword");
  }
  const keyword = body.toString("latin1", at + 1, equals);
  return { keyword, value: body.subarray(equals + 1, end - 1), end };
}

/** Names of libarchive's own keyword are encoded as in URLs. */
function decodeUrl(text: string): ByteString {
  return text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
