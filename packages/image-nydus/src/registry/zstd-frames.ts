import { invalid } from "./registry-errors.ts";

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const checksumBytes = 4;
const blockHeaderBytes = 3;

type State =
  | { readonly at: "frame" }
  | { readonly at: "block"; readonly hasChecksum: boolean }
  /** Passes bytes on (or drops them), then goes on with the next state */
  | { readonly at: "bytes"; readonly left: number; readonly drop: boolean; readonly next: State };

const frameState: State = { at: "frame" };

/**
 * Cuts a zstd stream so that no piece holds bytes of two frames, and leaves out skippable frames.
 *
 * Node's decompressor loses, without an error, what follows the end of a frame within the same piece. Layers of several
 * frames are common: parallel compressors write them, and zstd:chunked has one for each file.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not zstd, or is cut off
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
  let state: State = frameState;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const input: Buffer = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    let position = 0;
    while (position < input.length) {
      const step = advance(state, input.subarray(position));
      if (step === undefined) break;
      position += step.pass + step.drop;
      if (step.drop > 0) start = position;
      ({ state } = step);
      if (state.at === "frame" && position > start) {
        yield input.subarray(start, position);
        start = position;
      }
    }
    if (position > start) yield input.subarray(start, position);
    rest = input.subarray(position);
  }
  if (state.at !== "frame" || rest.length > 0) throw invalid("layer", "its zstd data is cut off");
}

interface Step {
  readonly pass: number;
  readonly drop: number;
  readonly state: State;
}

/** One step over the input; undefined when it is too short to know. */
function advance(state: State, input: Buffer): Step | undefined {
  switch (state.at) {
    case "frame":
      return frameStep(input);
    case "block":
      return blockStep(input, state.hasChecksum);
    case "bytes": {
      const count = Math.min(state.left, input.length);
      const left = state.left - count;
      return {
        pass: state.drop ? 0 : count,
        drop: state.drop ? count : 0,
        state: left === 0 ? state.next : { ...state, left },
      };
    }
    default:
      return state satisfies never;
  }
}

function frameStep(input: Buffer): Step | undefined {
  if (input.length < 5) return undefined;
  const magic = input.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
    if (input.length < 8) return undefined;
    const left = input.readUInt32LE(4);
    const next: State = { at: "bytes", left, drop: true, next: frameState };
    return { pass: 0, drop: 8, state: left === 0 ? frameState : next };
  }
  if (magic !== frameMagic) throw invalid("layer", "is not valid zstd data");
  // RFC 8878, 3.1.1.1: the descriptor's flags say how long the header is.
  const flags = input[4] ?? 0;
  const isSingleSegment = (flags & 0x20) !== 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  const headerBytes = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
  if (input.length < headerBytes) return undefined;
  return { pass: headerBytes, drop: 0, state: { at: "block", hasChecksum: (flags & 4) !== 0 } };
}

function blockStep(input: Buffer, hasChecksum: boolean): Step | undefined {
  if (input.length < blockHeaderBytes) return undefined;
  const header = input.readUIntLE(0, blockHeaderBytes);
  const isLast = (header & 1) === 1;
  const kind = (header >> 1) & 3;
  if (kind === 3) throw invalid("layer", "is not valid zstd data");
  // A block of kind 1 repeats its only byte.
  const size = kind === 1 ? 1 : header >> 3;
  const after = isLast ? (hasChecksum ? checksumBytes : 0) : 0;
  const next: State = isLast ? frameState : { at: "block", hasChecksum };
  const left = size + after;
  return {
    pass: blockHeaderBytes,
    drop: 0,
    state: left === 0 ? next : { at: "bytes", left, drop: false, next },
  };
}
