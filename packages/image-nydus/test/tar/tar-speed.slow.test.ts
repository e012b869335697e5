import { expect, it } from "vitest";
import { readTar } from "../../src/tar/tar-reader.ts";
import { base256, headerBlock } from "./tar-blocks.ts";

it("reads big files at more than 1 GB a second", async () => {
  const size = 8_000_000_000;
  async function* source(): AsyncGenerator<Buffer> {
    yield headerBlock({ name: "big", raw: { 124: base256(BigInt(size), 12) } });
    const chunk = Buffer.alloc(65_536);
    for (let missing = size; missing > 0; missing -= chunk.length) yield chunk;
  }
  let read = 0;
  const start = performance.now();
  for await (const { content } of readTar(source())) {
    for await (const part of content) if (part.kind === "data") read += part.bytes.length;
  }
  const seconds = (performance.now() - start) / 1_000;
  expect(read).toBe(size);
  expect(size / seconds).toBeGreaterThan(1_000_000_000);
});
