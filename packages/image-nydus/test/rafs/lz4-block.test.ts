import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeLz4Block } from "../../src/rafs/lz4-block.ts";

/** A small greedy encoder, enough to make every kind of sequence. */
function encode(input: Buffer): Buffer {
  const parts: Buffer[] = [];
  const seen = new Map<string, number>();
  let literalsFrom = 0;
  let at = 0;
  const lengths = (value: number): number[] => {
    if (value < 15) return [];
    const rest = value - 15;
    return [...Array.from({ length: Math.floor(rest / 255) }, () => 255), rest % 255];
  };
  const emit = (literals: Buffer, match?: { distance: number; length: number }): void => {
    const matchCode = match === undefined ? 0 : match.length - 4;
    const token = (Math.min(literals.length, 15) << 4) | Math.min(matchCode, 15);
    const tail =
      match === undefined
        ? []
        : [match.distance & 0xff, match.distance >>> 8, ...lengths(matchCode)];
    parts.push(Buffer.from([token, ...lengths(literals.length)]), literals, Buffer.from(tail));
  };
  while (at + 4 <= input.length - 5) {
    const key = input.toString("latin1", at, at + 4);
    const before = seen.get(key);
    seen.set(key, at);
    if (before === undefined || at - before > 65_535) {
      at += 1;
      continue;
    }
    let length = 4;
    while (at + length < input.length - 5 && input[before + length] === input[at + length])
      length += 1;
    emit(input.subarray(literalsFrom, at), { distance: at - before, length });
    at += length;
    literalsFrom = at;
  }
  emit(input.subarray(literalsFrom));
  return Buffer.concat(parts);
}

it("decodes what an encoder made of any bytes", () => {
  const repetitive = fc
    .array(fc.tuple(fc.string({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 400 })), {
      maxLength: 20,
    })
    .map((parts) => Buffer.from(parts.map(([text, count]) => text.repeat(count)).join("")));
  fc.assert(
    fc.property(repetitive, (input) => {
      expect(decodeLz4Block(encode(input), input.length)).toEqual(input);
    }),
  );
});

it("decodes a block of the format's description", () => {
  // Literals "ab", a match of 10 at distance 2, then the literals "end..".
  const block = Buffer.from([0x26, 0x61, 0x62, 0x02, 0x00, 0x50, ...Buffer.from("end..")]);

  expect(decodeLz4Block(block, 17).toString()).toBe("ababababababend..");
});

it("refuses any damage, without going outside of its buffers", () => {
  const input = Buffer.from("to be or not to be, that is the question ".repeat(50));
  const block = encode(input);
  fc.assert(
    fc.property(fc.nat(block.length - 1), fc.nat(255), (at, value) => {
      const damaged = Buffer.from(block);
      damaged[at] = value;
      try {
        expect(decodeLz4Block(damaged, input.length)).toHaveLength(input.length);
      } catch (error) {
        expect(error).toMatchObject({ details: { rule: "chunk-data" } });
      }
    }),
    { numRuns: 1000 },
  );
  for (let end = 0; end < block.length; end += 1) {
    expect(() => decodeLz4Block(block.subarray(0, end), input.length)).toThrow(/LZ4/u);
  }
});

it("makes one pass over a long overlapping match", () => {
  const size = 16 * 1_048_576;
  const rest = size - 1 - 19;
  const lengths = [...Array.from({ length: Math.floor(rest / 255) }, () => 255), rest % 255];
  const block = Buffer.from([0x1f, 0x41, 0x01, 0x00, ...lengths]);

  expect(decodeLz4Block(block, size).equals(Buffer.alloc(size, 0x41))).toBe(true);
});
