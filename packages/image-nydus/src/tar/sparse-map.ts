import type { ByteSource } from "./byte-source.ts";
import type { PaxRecords } from "./pax-records.ts";
import type { TarFailure } from "./tar-error.ts";
import { blockSize, type TarHeader } from "./tar-header.ts";
import type { TarLimits } from "./tar-limits.ts";
import { parseDecimal, parseTarNumber } from "./tar-number.ts";

/** Where the stored bytes of a sparse file belong. */
export interface SparseMap {
  /** Bytes of the file with its holes */
  readonly size: number;
  /** Offset and size of each run of data in turns, in order */
  readonly runs: readonly number[];
}

/** What a sparse map is read from. */
export interface SparseSource {
  readonly input: ByteSource;
  readonly header: TarHeader;
  readonly records: PaxRecords;
  readonly limits: TarLimits;
  readonly failure: TarFailure;
}

type MaybeNumber = number | undefined;

interface UncheckedMap {
  readonly size: MaybeNumber;
  readonly runs: readonly MaybeNumber[];
}

/**
 * Reads the sparse map of an entry in any of the four ways GNU tar has written it; `undefined` for files that are not
 * sparse. It may read blocks from the input: those of the old format stand between the header and the stored bytes, those of
 * format 1.0 are the first of the stored bytes.
 *
 * @param storedSize bytes of the entry in the archive
 * @throws {LongshoreError} `VALIDATION_ERROR` for a map that contradicts itself or the stored bytes
 */
export async function readSparseMap(
  source: SparseSource,
  storedSize: number,
): Promise<SparseMap | undefined> {
  const { header, records, input, failure } = source;
  if (header.type === "S") return checkMap(await readOldMap(source), storedSize, failure);
  const version = `${textOf(records, "GNU.sparse.major")}.${textOf(records, "GNU.sparse.minor")}`;
  if (version === "1.0") {
    const start = input.offset;
    const map = await readMapBlocks(source, storedSize);
    return checkMap(map, storedSize - (input.offset - start), failure);
  }
  if (version !== "." && version !== "0.0" && version !== "0.1") {
    throw failure(`sparse files of version ${JSON.stringify(version)} are unknown`);
  }
  const size = textOf(records, "GNU.sparse.size");
  const list = textOf(records, "GNU.sparse.map");
  // A file that is all hole has a size but no run.
  if (size === "" && list === "" && records.sparseRuns.length === 0) return undefined;
  const runs = list === "" ? records.sparseRuns : list.split(",").map(parseDecimal);
  if (runs.length > source.limits.maxSparseRuns * 2) throw tooMany(source);
  return checkMap({ size: parseDecimal(size), runs }, storedSize, failure);
}

function checkMap(map: UncheckedMap, storedSize: number, failure: TarFailure): SparseMap {
  const { size } = map;
  if (size === undefined || size < 0) throw failure("the sparse file does not tell its size");
  const runs: number[] = [];
  let end = 0;
  let stored = 0;
  for (let index = 0; index < map.runs.length; index += 2) {
    const [offset, length] = [map.runs[index], map.runs[index + 1]];
    if (offset === undefined || length === undefined || length < 0 || offset < end) {
      throw failure("the runs of the sparse file are malformed or out of order");
    }
    end = offset + length;
    stored += length;
    if (end > size) throw failure("a run of the sparse file lies behind its end");
    if (length > 0) runs.push(offset, length);
  }
  if (stored === storedSize) return { size, runs };
  throw failure(`the sparse file stores ${storedSize} bytes, its runs have ${stored}`);
}

/** The old format: four runs in the header, more in blocks that follow, each with a mark whether another one follows. */
async function readOldMap(source: SparseSource): Promise<UncheckedMap> {
  const { header, input, limits, failure } = source;
  if (header.format !== "gnu") throw failure("only GNU archives have sparse entries");
  const runs: MaybeNumber[] = [];
  let hasMore = takeRuns(header.block.subarray(386, 483), runs);
  const size = parseTarNumber(header.block.subarray(483, 495));
  while (hasMore) {
    const block = await input.read(blockSize);
    if (block.length < blockSize) throw failure("the stream ends in the sparse map");
    hasMore = takeRuns(block.subarray(0, 505), runs);
    if (runs.length > limits.maxSparseRuns * 2) throw tooMany(source);
  }
  return { size, runs };
}

/** Reads runs up to the first empty field, and returns whether the last byte says that more blocks follow. */
function takeRuns(fields: Buffer, runs: MaybeNumber[]): boolean {
  const end = fields.length - 1;
  for (let at = 0; at + 24 <= end && fields[at] !== 0; at += 24) {
    runs.push(parseTarNumber(fields.subarray(at, at + 12)));
    runs.push(parseTarNumber(fields.subarray(at + 12, at + 24)));
  }
  return fields[end] !== 0;
}

/** Format 1.0: decimal numbers, one a line, first the number of runs; then zeros up to a whole block. */
async function readMapBlocks(source: SparseSource, storedSize: number): Promise<UncheckedMap> {
  const { input, records, limits, failure } = source;
  const start = input.offset;
  const numbers: number[] = [];
  let wanted = 1;
  let rest = "";
  while (numbers.length < wanted) {
    const block = input.offset - start < storedSize ? await input.read(blockSize) : undefined;
    if (block?.length !== blockSize) throw failure("the stored bytes end in the sparse map");
    const lines = `${rest}${block.toString("latin1")}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.slice(0, wanted - numbers.length)) numbers.push(readCount(line));
    const count = numbers[0];
    if (count === undefined) throw failure("the sparse map is malformed");
    if (wanted === 1) {
      if (count > limits.maxSparseRuns) throw tooMany(source);
      wanted = 1 + count * 2;
      for (const line of lines.slice(1, wanted)) numbers.push(readCount(line));
    }
  }
  const realSize = parseDecimal(textOf(records, "GNU.sparse.realsize"));
  return { size: realSize, runs: numbers.slice(1) };

  function readCount(line: string): number {
    const number = parseDecimal(line);
    if (number === undefined || number < 0) throw failure("the sparse map is malformed");
    return number;
  }
}

function tooMany({ failure, limits }: SparseSource): Error {
  return failure(`the sparse file has more than ${limits.maxSparseRuns} runs`, "maxSparseRuns");
}

function textOf(records: PaxRecords, keyword: string): string {
  return records.values.get(keyword)?.toString("latin1") ?? "";
}
