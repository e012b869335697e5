import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readBootstrapLayer } from "../../src/lazy/bootstrap-layer.ts";
import { bytesOf } from "./blob-fixture.ts";
import { bytes, scratchDirectory } from "./lazy-fixture.ts";

const id = "ab".repeat(32);

/** A tar that GNU tar makes of these files. */
async function tarOf(
  files: Readonly<Record<string, Buffer>>,
  names: readonly string[] = Object.keys(files),
): Promise<Buffer> {
  await using scratch = await scratchDirectory();
  await mkdir(join(scratch.path, "image"));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(scratch.path, name), content);
  }
  const args = ["-C", scratch.path, "--no-recursion", "-cf", "-", ...names];
  return execFileSync("tar", args, { maxBuffer: 64 * 1_048_576 });
}

const stream = (data: Buffer): AsyncIterable<Buffer> => Readable.from([data]);

describe("readBootstrapLayer", () => {
  const boot = bytesOf(300_000, 3);
  const meta = bytesOf(8_192, 4);

  it("takes the bootstrap and the chunk tables out of a compressed layer", async () => {
    const tar = await tarOf(
      { "image/image.boot": boot, [`image/${id}.blob.meta`]: meta, "image/other": meta },
      ["image", "image/other", `image/${id}.blob.meta`, "./image/image.boot"],
    );
    const layer = await readBootstrapLayer(stream(gzipSync(tar)));
    expect(layer.bootstrap).toSatisfy(bytes(boot));
    expect([...layer.blobMetas.keys()]).toEqual([id]);
    expect(layer.blobMetas.get(id)).toSatisfy(bytes(meta));
  });

  it("takes a layer that is not compressed", async () => {
    const layer = await readBootstrapLayer(stream(await tarOf({ "image/image.boot": boot })));
    expect(layer.bootstrap).toSatisfy(bytes(boot));
    expect(layer.blobMetas.size).toBe(0);
  });

  it("leaves chunk tables out that are too large", async () => {
    const tar = await tarOf({ "image/image.boot": boot, [`image/${id}.blob.meta`]: meta });
    const layer = await readBootstrapLayer(stream(tar), { maxMetaBytes: 8_191 });
    expect(layer.blobMetas.size).toBe(0);
  });

  it.each([
    ["no bootstrap", { "image/other": meta }, ["image/other"]],
    ["two", { "image/image.boot": meta }, ["image/image.boot", "./image/image.boot"]],
  ] as const)("refuses a layer with %s", async (_, files, names) => {
    await expect(readBootstrapLayer(stream(await tarOf(files, names)))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("refuses a bootstrap that is a directory", async () => {
    await using scratch = await scratchDirectory();
    await mkdir(join(scratch.path, "image", "image.boot"), { recursive: true });
    const tar = execFileSync("tar", ["-C", scratch.path, "-cf", "-", "image/image.boot"]);
    await expect(readBootstrapLayer(stream(tar))).rejects.toThrow("is a directory");
  });

  it("refuses more than allowed, also when it is compressed away", async () => {
    const limits = { maxBootstrapBytes: 200_000, maxMetaBytes: 100_000 };
    const large = await tarOf({ "image/image.boot": boot });
    await expect(readBootstrapLayer(stream(large), limits)).rejects.toThrow("more than 200000");
    const zeros = await tarOf({ "image/other": Buffer.alloc(20 * 1_048_576) });
    await expect(readBootstrapLayer(stream(gzipSync(zeros)), limits)).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("refuses a layer that is cut off", async () => {
    const packed = gzipSync(await tarOf({ "image/image.boot": boot }));
    await expect(
      readBootstrapLayer(stream(packed.subarray(0, packed.length - 5_000))),
    ).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
