import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fileChunks } from "../../src/convert/file-chunks.ts";
import type { TarContent } from "../../src/tar/tar-entry.ts";

const pieces = fc.array(
  fc.oneof(
    fc
      .uint8Array({ maxLength: 40 })
      .map((bytes): TarContent => ({ kind: "data", bytes: Buffer.from(bytes) })),
    fc.nat(40).map((size): TarContent => ({ kind: "hole", size })),
  ),
  { maxLength: 20 },
);

async function* stream(content: readonly TarContent[]): AsyncGenerator<TarContent> {
  yield* content;
}

function whole(content: readonly TarContent[]): Buffer {
  return Buffer.concat(
    content.map((piece) => (piece.kind === "data" ? piece.bytes : Buffer.alloc(piece.size))),
  );
}

describe("fileChunks", () => {
  it("gives the bytes of the file back, in chunks of one size", async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 50 }), async (content, chunkSize) => {
        const chunks: Buffer[] = [];
        for await (const chunk of fileChunks(stream(content), chunkSize)) {
          chunks.push(chunk.kind === "data" ? Buffer.from(chunk.bytes) : Buffer.alloc(chunk.size));
        }
        const expected = whole(content);
        expect(Buffer.concat(chunks)).toEqual(expected);
        expect(chunks.map(({ length }) => length)).toEqual(
          Array.from({ length: Math.ceil(expected.length / chunkSize) }, (_, index) =>
            Math.min(chunkSize, expected.length - index * chunkSize),
          ),
        );
      }),
    );
  });

  it("writes no holes out that fill a chunk", async () => {
    const content: TarContent[] = [
      { kind: "hole", size: 3 * 1_024 ** 3 },
      { kind: "data", bytes: Buffer.from("x") },
    ];
    let zeros = 0;
    for await (const chunk of fileChunks(stream(content), 1_024 ** 2)) {
      if (chunk.kind === "zeros") zeros += 1;
      else expect(chunk.bytes.toString()).toBe("x");
    }
    expect(zeros).toBe(3 * 1_024);
  });
});
