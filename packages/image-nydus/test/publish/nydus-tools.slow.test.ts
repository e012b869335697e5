import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { readBlobMeta } from "../../src/rafs/blob-meta.ts";
import { readToc } from "../../src/rafs/blob-toc.ts";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import { run } from "../registry/sample-image.ts";
import { oddImage } from "./odd-image.ts";
import { storePlace } from "./store-place.ts";

const nydusImage = join(homedir(), ".cache/longshore/nydus-rs-2.2.0/bin/nydus-image");

describe("a converted image", () => {
  it("is what its layers say, and what Nydus' own tools accept where they are", async (context) => {
    await using place = await storePlace();
    const image = await oddImage(place.path, { isTame: true });
    const store = await place.open("store");
    await store.pullImage({ image: { image: image.name } });
    const layout = join(place.path, "packed");
    await store.convert("localhost/odd:one", `oci:${layout}:one`);
    const manifest = JSON.parse(await run("skopeo", "inspect", "--raw", `oci:${layout}:one`));
    const [blob, layer] = manifest.layers;
    const pathOf = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
    const files = join(place.path, "files");
    await mkdir(files);
    await run("tar", "-xzf", pathOf(layer.digest), "-C", files);
    const bootstrapPath = join(files, "image", "image.boot");
    const bootstrap = await readFile(bootstrapPath);
    const blobBytes = await readFile(pathOf(blob.digest));

    expect(validateRafs(bootstrap).inodes).toBeGreaterThan(300);
    const [listed] = openBootstrap(bootstrap).blobs;
    const id = blob.digest.slice("sha256:".length);
    expect(listed).toMatchObject({ id, compressedSize: blob.size, compressor: "zstd" });
    const meta = await readFile(join(files, "image", `${id}.blob.meta`));
    expect(readBlobMeta(meta, { blob: listed, form: "cache" }).chunkCount).toBe(listed?.chunkCount);
    const { entries } = readToc(blobBytes.subarray(-16_384));
    const names = entries.map(({ name }) => name);
    expect(names).toEqual(["image.blob", "blob.meta", "blob.meta.header", "blob.digest"]);

    if (!existsSync(nydusImage)) {
      context.skip("nydus-image is not there; scripts/nydus-conformance.ts builds it");
    }
    const checked = await run(nydusImage, "check", "-B", bootstrapPath);
    expect(checked).toContain("RAFS filesystem metadata is valid");
    const archive = join(place.path, "unpacked.tar");
    await run(
      nydusImage,
      "unpack",
      "-B",
      bootstrapPath,
      "--blob",
      pathOf(blob.digest),
      "--output",
      archive,
    );
    const text = await run("tar", "-xOf", archive, "text");
    expect(text).toBe("all work and no play ".repeat(20_000));
  });
});
