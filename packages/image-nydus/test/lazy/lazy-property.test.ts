import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { writeBlob } from "./blob-fixture.ts";
import { fast, lazyFixture, wronglyMarked } from "./lazy-fixture.ts";
import type { Fault } from "./range-server.ts";

const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 9_000 }), fc.integer({ min: 1, max: 150_000 })),
  { minLength: 1, maxLength: 40 },
);
const fault = fc.option(fc.constantFrom<Fault>("reset", "short", "unavailable", "long"), {
  nil: undefined,
  freq: 3,
});

describe("random reads of a lazy blob", () => {
  it("give what the blob holds, or an error, whatever the network does", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          sizes,
          faults: fc.array(fault, { maxLength: 12 }),
          reads: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(200_000)), {
            minLength: 1,
            maxLength: 30,
          }),
          parallel: fc.integer({ min: 1, max: 8 }),
          minBytes: fc.constantFrom(0, 20_000),
          compressor: fc.constantFrom("none" as const, "zstd" as const),
        }),
        async (input) => {
          const fixture = await writeBlob(input.sizes, { compressor: input.compressor });
          const { plain } = fixture;
          await using lazy = await lazyFixture(fixture, {
            ...fast,
            retries: 12,
            readahead: { minBytes: input.minBytes },
          });
          lazy.server.faults.push(...input.faults);
          const reads = input.reads.map(([where, length]) => {
            const offset = Math.floor(where * (plain.length - 1));
            return { offset, length: Math.min(length, plain.length - offset) };
          });
          for (let at = 0; at < reads.length; at += input.parallel) {
            await Promise.all(
              reads.slice(at, at + input.parallel).map(async ({ offset, length }) => {
                const actual = await lazy.read(offset, length);
                expect(actual.equals(plain.subarray(offset, offset + length))).toBe(true);
              }),
            );
          }
          await lazy.blob.flush();
          expect(await wronglyMarked(lazy.directory, fixture)).toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
  });
});
