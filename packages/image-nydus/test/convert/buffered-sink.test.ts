import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bufferedSink } from "../../src/convert/buffered-sink.ts";

describe("bufferedSink", () => {
  it("hands on every byte in order, in pieces of its size or more", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 30 })),
        fc.integer({ min: 1, max: 40 }),
        async (writes, size) => {
          const pieces: Buffer[] = [];
          const sink = bufferedSink(
            {
              write: (bytes) => {
                pieces.push(Buffer.from(bytes));
                return Promise.resolve();
              },
            },
            size,
          );
          for (const bytes of writes) await sink.write(Buffer.from(bytes));
          await sink.flush();
          await sink.flush();
          expect(Buffer.concat(pieces)).toEqual(Buffer.concat(writes));
          expect(pieces.length).toBeLessThanOrEqual(
            2 * Math.ceil(writes.reduce((sum, { length }) => sum + length, 0) / size) + 1,
          );
        },
      ),
    );
  });
});
