import { createHash } from "node:crypto";
import { readdir, readFile, rename, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  copyImage,
  openImageSource,
  openImageTarget,
  parsePlatform,
  type Descriptor,
  type ImageSource,
} from "../../src/registry/index.ts";
import { collect } from "./collect.ts";
import { run, sampleImage, temporaryDirectory } from "./sample-image.ts";

async function copy(from: string, to: string): Promise<Descriptor> {
  await using source = await openImageSource(from);
  await using target = await openImageTarget(to);
  const top = await copyImage(source, target);
  await target.finish();
  return top;
}

/** Reads everything an image has; digests are checked on the way. */
async function readWhole(source: ImageSource): Promise<string> {
  const image = await source.resolve();
  for (const layer of image.layers) {
    let size = 0;
    for await (const piece of source.openBlob(layer)) size += piece.length;
    expect(size).toBe(layer.size);
  }
  return image.config.descriptor.digest;
}

async function skopeoConfig(name: string): Promise<unknown> {
  return JSON.parse(await run("skopeo", "inspect", "--config", "--raw", name));
}

describe("an OCI layout", () => {
  test("is read as its maker describes it", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    await using source = await openImageSource(name);
    const image = await source.resolve();
    const inspected = JSON.parse(await run("skopeo", "inspect", name));
    expect(image.digest).toBe(inspected.Digest);
    expect(image.layers.map(({ digest }) => digest)).toEqual(inspected.Layers);
    expect(image.config.file.config?.Env).toEqual(["A=b"]);
    expect(image.config.file.rootfs.diff_ids).toHaveLength(3);
    expect(await source.listTags()).toEqual(["one"]);
    await readWhole(source);
  });

  test("goes through both archives and back, and skopeo reads each", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const at = (file: string): string => join(directory.path, file);
    const names = [
      name,
      `oci-archive:${at("a.tar")}:two`,
      `docker-archive:${at("b.tar")}:localhost/sample:three`,
      `oci:${at("back")}:four`,
    ];
    const config = await skopeoConfig(name);
    for (const [index, from] of names.slice(0, -1).entries()) {
      const to = names[index + 1] ?? "";
      await copy(from, to);
      expect(await skopeoConfig(to)).toEqual(config);
      await run("skopeo", "copy", to, `dir:${at(`dir-${index}`)}`);
      await using source = await openImageSource(to);
      await readWhole(source);
    }
    // Nothing but the files that were asked for.
    const left = (await readdir(directory.path)).filter((file) => file.includes(".tmp"));
    expect(left).toEqual([]);
  });

  test("is read from archives that skopeo wrote, packed ones too", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const at = (file: string): string => join(directory.path, file);
    const config = JSON.stringify(await skopeoConfig(name));
    await run("skopeo", "copy", name, `oci-archive:${at("o.tar")}:x`);
    await run("skopeo", "copy", name, `docker-archive:${at("d.tar")}:localhost/x/y:z`);
    await run("gzip", "-k", at("d.tar"));
    await run("zstd", "-q", "-k", at("o.tar"));
    const names = [
      `oci-archive:${at("o.tar")}`,
      `oci-archive:${at("o.tar.zst")}:x`,
      `docker-archive:${at("d.tar")}`,
      `docker-archive:${at("d.tar.gz")}:localhost/x/y:z`,
    ];
    for (const source of names) {
      await using opened = await openImageSource(source, { temporaryDirectory: directory.path });
      const image = await opened.resolve();
      expect(JSON.stringify(JSON.parse(image.config.bytes.toString()))).toBe(config);
      await readWhole(opened);
    }
    await using opened = await openImageSource(`docker-archive:${at("d.tar")}`);
    expect(await opened.listTags()).toEqual(["localhost/x/y:z"]);
  });

  test("keeps several names, and moves one when it is given again", async () => {
    await using directory = await temporaryDirectory();
    const { name, layout } = await sampleImage(directory.path);
    const target = join(directory.path, "out");
    const one = await copy(name, `oci:${target}:a`);
    await copy(name, `oci:${target}:b`);
    await run("umoci", "config", "--image", `${layout}:one`, "--config.env", "C=d");
    const two = await copy(name, `oci:${target}:a`);
    expect(two.digest).not.toBe(one.digest);
    const digests = await Promise.all(
      ["a", "b"].map(async (tag) => {
        await using source = await openImageSource(`oci:${target}:${tag}`);
        return (await source.resolve()).digest;
      }),
    );
    expect(digests).toEqual([two.digest, one.digest]);
    await expect(readTop(`oci:${target}`)).rejects.toThrow(/several images.*(b, a|a, b)/);
    await expect(readTop(`oci:${target}:c`)).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });

  test("reads ranges, and goes on from an offset with the hash of what came before", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    await using source = await openImageSource(name);
    const layer = (await source.resolve()).layers.at(-1);
    if (layer === undefined) throw new Error("no layer");
    const whole = await collect(source.openBlob(layer));
    const part = await source.readRange(layer, { offset: 1_000, length: 5_000 });
    expect(part.equals(whole.subarray(1_000, 6_000))).toBe(true);
    await expect(source.readRange(layer, { offset: 1, length: layer.size })).rejects.toThrow(
      RangeError,
    );

    const hash = createHash("sha256").update(whole.subarray(0, 1_234));
    const rest = await collect(source.openBlob(layer, { offset: 1_234, hash }));
    expect(rest.equals(whole.subarray(1_234))).toBe(true);
    const wrong = createHash("sha256").update(whole.subarray(0, 1_233));
    await expect(
      collect(source.openBlob(layer, { offset: 1_234, hash: wrong })),
    ).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    await expect(collect(source.openBlob(layer, { offset: 1 }))).rejects.toThrow(TypeError);
  });

  test("lists what refers to a manifest", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const top = await copy(name, `oci:${join(directory.path, "out")}:a`);
    const place = `oci:${join(directory.path, "out")}:a`;
    await using target = await openImageTarget(place);
    const referrer = await writeReferrer(target, top);
    await target.finish();
    await using source = await openImageSource(place);
    expect(await source.listReferrers(top.digest)).toMatchObject([
      { digest: referrer.digest, artifactType: "application/x-note", annotations: { k: "v" } },
    ]);
    expect(await source.listReferrers(top.digest, { artifactType: "other/type" })).toEqual([]);
    expect((await source.resolve()).digest).toBe(top.digest);
  });

  test.for(["content", "size", "missing"])(
    "is refused when a blob's %s is wrong",
    async (damage) => {
      await using directory = await temporaryDirectory();
      const { name, layout } = await sampleImage(directory.path);
      await using source = await openImageSource(name);
      const layer = (await source.resolve()).layers.at(-1);
      if (layer === undefined) throw new Error("no layer");
      const path = join(layout, "blobs", "sha256", layer.digest.slice(7));
      if (damage === "missing") await rename(path, `${path}.away`);
      else if (damage === "size") await truncate(path, layer.size - 1);
      else {
        const bytes = await readFile(path);
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
        await writeFile(path, bytes);
      }
      const out = join(directory.path, "out");
      await expect(copy(name, `oci:${out}:a`)).rejects.toMatchObject({
        code: damage === "missing" ? "IMAGE_NOT_FOUND" : "IMAGE_CHECKSUM_MISMATCH",
      });
      // Neither a name nor half a blob was left behind.
      expect(await readdir(out)).toEqual(["blobs"]);
      const blobs = await readdir(join(out, "blobs", "sha256"));
      expect(blobs.filter((file) => !/^[0-9a-f]{64}$/.test(file))).toEqual([]);
      expect(blobs).not.toContain(layer.digest.slice(7));
      await expect(copy(name, `oci-archive:${join(directory.path, "x.tar")}`)).rejects.toThrow(
        layer.digest,
      );
      expect((await readdir(directory.path)).filter((file) => /x\.tar/.test(file))).toEqual([]);
    },
  );

  test("has no image for another platform, and says which it has", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    await using source = await openImageSource(name);
    await expect(source.resolve({ platform: parsePlatform("linux/s390x") })).rejects.toThrow(
      /no image for linux\/s390x; it has: linux\/(amd64|arm64)/,
    );
  });

  test("does not wait for ever at a pipe", async () => {
    await using directory = await temporaryDirectory();
    await run("mkfifo", join(directory.path, "pipe"), join(directory.path, "oci-layout"));
    await expect(readTop(`oci:${directory.path}`)).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    await expect(readTop(`oci-archive:${join(directory.path, "pipe")}`)).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(readTop(`oci:${join(directory.path, "nowhere")}`)).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });
});

describe("an archive", () => {
  test("follows a layer's link inside of it, and none out of it", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const at = (file: string): string => join(directory.path, file);
    await run("skopeo", "copy", name, `docker-archive:${at("d.tar")}:localhost/x:z`);
    await run("mkdir", at("tree"));
    await run("tar", "-xf", at("d.tar"), "-C", at("tree"));
    // As `docker save` has it: the manifest names a link.
    const [manifest] = JSON.parse(await readFile(at("tree/manifest.json"), "utf8"));
    const [layer] = manifest.Layers as string[];
    await run("mkdir", at("tree/deep"));
    await symlink(`../${layer}`, at("tree/deep/layer.tar"));
    manifest.Layers[0] = "deep/layer.tar";
    await writeFile(at("tree/manifest.json"), JSON.stringify([manifest]));
    await run("tar", "-cf", at("linked.tar"), "--format=posix", "-C", at("tree"), ".");
    await using source = await openImageSource(`docker-archive:${at("linked.tar")}`);
    await readWhole(source);

    await symlink("../../../etc/passwd", at("tree/deep/out"));
    await run("tar", "-cf", at("out.tar"), "-C", at("tree"), ".");
    await expect(readTop(`docker-archive:${at("out.tar")}`)).rejects.toThrow(
      /leads out of the archive/,
    );
    await run("tar", "-cPf", at("up.tar"), "-C", at("tree/deep"), "../manifest.json");
    await expect(readTop(`docker-archive:${at("up.tar")}`)).rejects.toThrow(
      /leads out of the archive/,
    );
    await run("tar", "-cPf", at("abs.tar"), at("tree/manifest.json"));
    await expect(readTop(`docker-archive:${at("abs.tar")}`)).rejects.toThrow(
      /leads out of the archive/,
    );
  });

  test("is refused when it is cut off, damaged, or something else", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const file = join(directory.path, "a.tar");
    await copy(name, `oci-archive:${file}:x`);
    const bytes = await readFile(file);
    const cases: Record<string, Buffer> = {
      "cut off": bytes.subarray(0, 200_000),
      "damaged header": Buffer.concat([
        bytes.subarray(0, 10),
        Buffer.from("X"),
        bytes.subarray(11),
      ]),
      text: Buffer.from("no archive at all\n".repeat(100)),
      "gzip of text": gzipSync(Buffer.from("no archive at all\n".repeat(100))),
      "cut gzip": gzipSync(bytes).subarray(0, 100_000),
    };
    for (const [what, content] of Object.entries(cases)) {
      await writeFile(file, content);
      await expect(readTop(`oci-archive:${file}`), what).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
    await writeFile(file, "");
    await expect(readTop(`oci-archive:${file}`)).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });

  test("with random damage is read or refused, never anything else", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path, 1_000);
    const file = join(directory.path, "a.tar");
    await run("skopeo", "copy", name, `docker-archive:${file}:localhost/x:z`);
    const original = await readFile(file);
    const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = Buffer.from(original);
        for (const [place, value] of changes) bytes[place] = value;
        await writeFile(file, bytes);
        const codes = ["VALIDATION_ERROR", "IMAGE_NOT_FOUND", "IMAGE_CHECKSUM_MISMATCH"];
        try {
          await using source = await openImageSource(`docker-archive:${file}`);
          await readWhole(source);
        } catch (error) {
          expect(codes).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of Docker whose layer is not what its config says is not read", async () => {
    await using directory = await temporaryDirectory();
    const { name } = await sampleImage(directory.path);
    const at = (file: string): string => join(directory.path, file);
    await copy(name, `docker-archive:${at("d.tar")}:x`);
    await run("mkdir", at("tree"));
    await run("tar", "-xf", at("d.tar"), "-C", at("tree"));
    const [manifest] = JSON.parse(await readFile(at("tree/manifest.json"), "utf8"));
    const layer = at(`tree/${manifest.Layers[1]}`);
    const bytes = await readFile(layer);
    bytes.write("EVIL", 515);
    await writeFile(layer, bytes);
    await run("tar", "-cf", at("evil.tar"), "-C", at("tree"), ".");
    await using source = await openImageSource(`docker-archive:${at("evil.tar")}`);
    await expect(readWhole(source)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
  });
});

async function readTop(name: string): Promise<unknown> {
  await using source = await openImageSource(name);
  return await source.resolve();
}

async function writeReferrer(
  target: Awaited<ReturnType<typeof openImageTarget>>,
  subject: Descriptor,
): Promise<Descriptor> {
  const empty = Buffer.from("{}");
  const config = {
    mediaType: "application/vnd.oci.empty.v1+json",
    digest: `sha256:${createHash("sha256").update(empty).digest("hex")}`,
    size: empty.length,
  };
  await target.writeBlob(config, async function* content() {
    yield empty;
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      artifactType: "application/x-note",
      config,
      layers: [config],
      subject,
      annotations: { k: "v" },
    }),
  );
  return target.writeManifest({ bytes, mediaType });
}
