import { createHash } from "node:crypto";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NydusImageStore } from "../../src/nydus-image-store.ts";
import { startDockerRegistry, type DockerRegistry } from "../registry/docker-registry.ts";
import { run } from "../registry/sample-image.ts";
import { differences } from "../tree/file-listing.ts";
import { oddImage, unpackedListing, type OddImage } from "./odd-image.ts";
import { storePlace, unfinishedFiles, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let image: OddImage;
let registry: DockerRegistry;
let store: NydusImageStore;

beforeAll(async () => {
  place = await storePlace();
  [image, registry] = await Promise.all([oddImage(place.path), startDockerRegistry()]);
  store = await place.open("first");
  await store.pullImage({ image: { image: image.name } });
}, 60_000);

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

describe("an image pushed as an ordinary one", () => {
  it("is one layer that unpacks to the same files", async () => {
    const name = `${registry.host}/team/odd:plain`;
    const pushed = await store.push("localhost/odd:one", name);
    expect(await unfinishedFiles(store)).toEqual([]);
    const docker = ["--tls-verify=false", `docker://${name}`];
    expect(JSON.parse(await run("skopeo", "inspect", ...docker))).toMatchObject({
      Digest: pushed.digest,
      Architecture: "amd64",
      Env: ["A=b"],
      Labels: { "x.y": "<z>" },
    });
    const manifest = JSON.parse(await run("skopeo", "inspect", "--raw", ...docker));
    expect(manifest).not.toHaveProperty("artifactType");
    expect(manifest.layers).toMatchObject([
      { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" },
    ]);
    const layout = join(await place.directory(), "copied");
    await run("skopeo", "copy", "--src-tls-verify=false", `docker://${name}`, `oci:${layout}:a`);
    expect(differences(await unpackedListing(place.path, `${layout}:a`), image.listing)).toEqual(
      [],
    );
  });

  it("has the same layer by zstd", async () => {
    const layout = join(await place.directory(), "layout");
    await store.push("localhost/odd:one", `oci:${layout}:gzip`);
    await store.push("localhost/odd:one", `oci:${layout}:zstd`, { compression: "zstd" });
    const inspect = async (tag: string, ...flags: readonly string[]) =>
      JSON.parse(await run("skopeo", "inspect", "--raw", ...flags, `oci:${layout}:${tag}`));
    const { rootfs } = await inspect("gzip", "--config");
    expect(await inspect("zstd", "--config")).toMatchObject({ rootfs });
    const [layer] = (await inspect("zstd")).layers;
    expect(layer.mediaType).toBe("application/vnd.oci.image.layer.v1.tar+zstd");
    const stored = await readFile(join(layout, "blobs", layer.digest.replace(":", "/")));
    const hash = createHash("sha256").update(zstdDecompressSync(stored)).digest("hex");
    expect(rootfs.diff_ids).toEqual([`sha256:${hash}`]);
  });

  it("has the same bytes each time, also after it was pulled", async () => {
    const layout = join(await place.directory(), "layout");
    const first = await store.push("localhost/odd:one", `oci:${layout}:first`);
    const second = await store.push("localhost/odd:one", `oci:${layout}:second`);
    expect(second.digest).toBe(first.digest);

    const other = await place.open("second");
    await other.pullImage({ image: { image: `oci:${layout}:first` } });
    const third = await other.push("localhost/layout:first", `oci:${layout}:third`);
    expect(third.digest).toBe(first.digest);
  });

  it("goes into an archive that docker loads", async () => {
    const archive = join(await place.directory(), "image.tar");
    const target = `docker-archive:${archive}:example.org/odd:two`;
    await store.push("localhost/odd:one", target, { compression: "none" });
    const manifest = JSON.parse(await run("tar", "-xOf", archive, "manifest.json"));
    expect(manifest).toMatchObject([{ RepoTags: ["example.org/odd:two"] }]);
    const layout = join(await place.directory(), "loaded");
    await run("skopeo", "copy", `docker-archive:${archive}`, `oci:${layout}:a`);
    expect(differences(await unpackedListing(place.path, `${layout}:a`), image.listing)).toEqual(
      [],
    );
  });

  it("is not made of damaged bytes", async () => {
    const broken = await place.open("broken");
    await broken.pullImage({ image: { image: image.name } });
    const { filesystem } = await broken.inspect("localhost/odd:one");
    const [blob] = filesystem.blobs;
    const path = join(broken.directory, "blobs", "sha256", blob?.id ?? "");
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(3_000_000) ^ 1, 3_000_000);
    await chmod(path, 0o600);
    await writeFile(path, bytes);
    const layout = await place.directory();
    for (const form of ["oci", "nydus"] as const) {
      const pushed = broken.push("localhost/odd:one", `oci:${layout}:a`, { form });
      await expect(pushed).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    }
    expect(await readdir(layout)).toEqual([]);
    expect(await unfinishedFiles(broken)).toEqual([]);
  });
});
