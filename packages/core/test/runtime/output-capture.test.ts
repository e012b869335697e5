import { array, assert, constantFrom, integer, nat, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { outputCapture } from "../../src/runtime/output-capture.ts";

describe("outputCapture", () => {
  it("keeps the longest run of whole characters that fits, however the text arrives in pieces", () => {
    const pieces = array(integer({ min: 1, max: 9 }), { minLength: 1 });
    assert(
      property(string({ unit: "grapheme" }), nat(40), pieces, (text, maxBytes, sizes) => {
        const bytes = Buffer.from(text);
        const capture = outputCapture(maxBytes);
        for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          capture.add(bytes.subarray(start, start + size));
          start += size;
        }
        let expected = "";
        for (const character of text) {
          if (Buffer.byteLength(expected + character) > maxBytes) break;
          expected += character;
        }
        expect(capture.bytes().toString()).toBe(expected);
        expect(capture.droppedBytes()).toBe(bytes.length - Buffer.byteLength(expected));
      }),
    );
  });

  it("keeps the end too, whatever the limit, without a part of a character in front", () => {
    const pieces = array(integer({ min: 1, max: 3_000 }), { minLength: 1 });
    const long = array(constantFrom("a", "é", "€", "😀", "\n"), { maxLength: 6_000 });
    assert(
      property(long, pieces, (characters, sizes) => {
        const bytes = Buffer.from(characters.join(""));
        const capture = outputCapture(10);
        for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          capture.add(bytes.subarray(start, start + size));
          start += size;
        }
        let expected = "";
        for (const character of characters.toReversed()) {
          if (Buffer.byteLength(character + expected) > 4_096) break;
          expected = character + expected;
        }
        expect(capture.tail()).toBe(expected);
      }),
    );
  });

  it("keeps bytes that are no UTF-8 as they are", () => {
    const capture = outputCapture(4);
    capture.add(Buffer.from([0xff, 0xfe, 0x80, 0x80, 0x80]));
    expect([...capture.bytes()]).toEqual([0xff, 0xfe, 0x80, 0x80]);
    expect(capture.droppedBytes()).toBe(1);
  });
});
