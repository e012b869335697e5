import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NydusImageStore } from "../../src/nydus-image-store.ts";
import type { PushedImage } from "../../src/publish/push-image.ts";
import type { PushProgress } from "../../src/publish/push-progress.ts";
import { startDockerRegistry, type DockerRegistry } from "../registry/docker-registry.ts";
import { run } from "../registry/sample-image.ts";
import { oddImage, type OddImage } from "./odd-image.ts";
import { storePlace, unfinishedFiles, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let image: OddImage;
let registry: DockerRegistry;
let store: NydusImageStore;
let name: string;
let pushed: PushedImage;
const progress: PushProgress[] = [];

beforeAll(async () => {
  place = await storePlace();
  [image, registry] = await Promise.all([oddImage(place.path), startDockerRegistry()]);
  store = await place.open("first");
  await store.pullImage({ image: { image: image.name } });
  name = `${registry.host}/team/odd:nydus`;
  pushed = await store.convert("localhost/odd:one", name, {
    onProgress: (step) => progress.push(step),
  });
}, 60_000);

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

async function inspect(ref: string, ...flags: readonly string[]) {
  const printed = await run("skopeo", "inspect", "--raw", ...flags, "--tls-verify=false", ref);
  return JSON.parse(printed);
}

describe("a pushed Nydus image", () => {
  it("has the form that nydus-snapshotter reads", async () => {
    const manifest = await inspect(`docker://${name}`);
    expect(manifest).toMatchObject({
      artifactType: "application/vnd.nydus.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json" },
      layers: [
        {
          mediaType: "application/vnd.oci.image.layer.nydus.blob.v1",
          annotations: { "containerd.io/snapshot/nydus-blob": "true" },
        },
        {
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
          annotations: {
            "containerd.io/snapshot/nydus-bootstrap": "true",
            "containerd.io/snapshot/nydus-fs-version": "6",
          },
        },
      ],
    });
    const [blob, bootstrap] = manifest.layers;
    const files = join(registry.dataDirectory, "docker/registry/v2/blobs/sha256");
    const hex = bootstrap.digest.slice("sha256:".length);
    const layer = join(files, hex.slice(0, 2), hex, "data");
    const archive = await run("tar", "--numeric-owner", "--full-time", "-tvzf", layer);
    const entries = archive
      .trim()
      .split("\n")
      .map((line) => line.replaceAll(/ +/g, " "));
    expect(entries).toEqual([
      "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 image/",
      expect.stringMatching(/^-r--r--r-- 0\/0 \d+ 1970-01-01 00:00:00 image\/image\.boot$/),
      expect.stringMatching(
        /^-r--r--r-- 0\/0 \d+ 1970-01-01 00:00:00 image\/[0-9a-f]{64}\.blob\.meta$/,
      ),
    ]);
    expect(entries[2]).toContain(blob.digest.slice("sha256:".length));
    // Neither time nor name stand in the header of gzip.
    expect((await readFile(layer)).subarray(0, 8).toString("hex")).toBe("1f8b080000000000");
    const diffId = await run("sh", "-c", `zcat "$0" | sha256sum | cut -d " " -f 1`, layer);
    const config = await inspect(`docker://${name}`, "--config");
    expect(config.rootfs).toEqual({
      type: "layers",
      diff_ids: [blob.digest, `sha256:${diffId.trim()}`],
    });
  });

  it("has the configuration of the original, with a history of its own layers", async () => {
    const [original, config] = await Promise.all([
      inspect(image.name, "--config"),
      inspect(`docker://${name}`, "--config"),
    ]);
    const { rootfs: _, history: steps, ...rest } = original;
    expect(config).toMatchObject(rest);
    expect(JSON.stringify(config.config)).toBe(JSON.stringify(original.config));
    expect(config.created).toBe(original.created);
    expect(config.history.slice(0, -2)).toEqual(
      steps.map((step: object) => Object.assign(step, { empty_layer: true })),
    );
    const layers = config.history.filter((step: object) => !("empty_layer" in step));
    expect(layers).toHaveLength(2);
  });

  it("tells how far it has come", () => {
    const [first] = progress;
    expect(first).toMatchObject({ phase: "pack", doneBytes: 0 });
    expect(first?.totalBytes).toBeGreaterThan(40 * 2 ** 20);
    const upload = progress.find(({ phase }) => phase === "upload");
    expect(upload).toMatchObject({ doneBytes: 0 });
    expect(progress.at(-1)).toEqual({
      phase: "done",
      doneBytes: upload?.totalBytes,
      totalBytes: upload?.totalBytes,
    });
    for (const { doneBytes, totalBytes } of progress)
      expect(doneBytes).toBeLessThanOrEqual(totalBytes);
  });

  it("is the same from a store that has the chunks elsewhere, and from one that has none of them", async () => {
    const other = await place.open("other", { onDemand: false });
    const files = join(await place.directory(), "files");
    const half = `${files}:half`;
    await run("umoci", "init", "--layout", files);
    await run("umoci", "new", "--image", half);
    const bundle = join(place.path, "bundle", "rootfs");
    for (const file of ["three", "text", "many"]) {
      await run("umoci", "insert", "--image", half, join(bundle, file), `/other/${file}`);
    }
    await other.pullImage({ image: { image: `oci:${half}` } });
    await other.pullImage({ image: { image: image.name } });
    const again = `${registry.host}/team/again:1`;
    expect(await other.convert("localhost/odd:one", again)).toMatchObject({
      digest: pushed.digest,
    });
    const { filesystem } = await other.inspect("localhost/odd:one");
    expect(filesystem.blobs).toHaveLength(2);

    const lazy = await place.open("lazy");
    await lazy.pullImage({ image: { image: name } });
    const third = `${registry.host}/team/third:1`;
    expect(await lazy.convert(name, third)).toMatchObject({ digest: pushed.digest });
    expect(await unfinishedFiles(lazy)).toEqual([]);
  });

  it("goes into an OCI layout, and is found there by its tag", async () => {
    const layout = join(await place.directory(), "layout");
    const target = `oci:${layout}:packed`;
    expect(await store.convert("localhost/odd:one", target)).toMatchObject({
      digest: pushed.digest,
    });
    const back = await place.open("from-layout");
    await back.pullImage({ image: { image: target } });
    expect(await back.inspect("localhost/layout:packed")).toMatchObject({ isOnDemand: true });
    const { filesystem } = await back.inspect("localhost/layout:packed");
    expect(filesystem.blobs).toHaveLength(1);
  });

  it("has a bootstrap alone when no file has bytes", async () => {
    const files = await place.directory();
    const layout = `${files}/hollow:1`;
    await run("umoci", "init", "--layout", `${files}/hollow`);
    await run("umoci", "new", "--image", layout);
    await store.pullImage({ image: { image: `oci:${layout}` } });
    await store.convert("localhost/hollow:1", `oci:${files}/packed:1`);
    const manifest = await inspect(`oci:${files}/packed:1`);
    expect(manifest.layers).toHaveLength(1);
    const back = await place.open("hollow");
    await back.pullImage({ image: { image: `oci:${files}/packed:1` } });
    expect((await back.inspect("localhost/packed:1")).filesystem.inodeCount).toBe(1);
  });
});
