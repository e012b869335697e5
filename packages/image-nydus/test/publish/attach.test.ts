import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NydusImageStore } from "../../src/nydus-image-store.ts";
import { startDockerRegistry, type DockerRegistry } from "../registry/docker-registry.ts";
import { run, sampleImage, type SampleImage } from "../registry/sample-image.ts";
import { countingProxy } from "./counting-proxy.ts";
import { storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let image: SampleImage;
let registry: DockerRegistry;
let store: NydusImageStore;
let name: string;
let count = 0;

beforeAll(async () => {
  place = await storePlace();
  image = await sampleImage(place.path);
  registry = await startDockerRegistry();
}, 60_000);

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** A name that stands for the ordinary image, and a store that has pulled it from there. */
beforeEach(async () => {
  count += 1;
  name = `${registry.host}/team/app-${count}:v1`;
  await run("skopeo", "copy", "--dest-tls-verify=false", image.name, `docker://${name}`);
  store = await place.open(`store-${count}`);
  await store.pullImage({ image: { image: name } });
});

interface Manifest {
  readonly mediaType: string;
  readonly manifests?: readonly {
    readonly digest: string;
    readonly artifactType?: string;
    readonly platform?: Readonly<Record<string, unknown>>;
  }[];
}

async function raw(ref: string): Promise<Manifest> {
  return JSON.parse(
    await run("skopeo", "inspect", "--raw", "--tls-verify=false", `docker://${ref}`),
  );
}

async function digestOf(ref: string): Promise<string> {
  const { Digest } = JSON.parse(
    await run("skopeo", "inspect", "--tls-verify=false", `docker://${ref}`),
  );
  return Digest;
}

/** Whether another store finds the Nydus form by the name, or the ordinary image. */
async function isFoundOnDemand(ref: string): Promise<boolean> {
  const other = await place.open(`puller-${crypto.randomUUID()}`);
  await other.pullImage({ image: { image: ref } });
  return (await other.inspect(ref)).isOnDemand;
}

describe("a Nydus image in an index with the ordinary one", () => {
  it("is found by the plain name, and skopeo finds the ordinary one", async () => {
    const before = await digestOf(name);
    const pushed = await store.push(name, name, { form: "nydus", attach: "index" });
    const index = await raw(name);
    expect(index).toMatchObject({
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [
        { digest: before, platform: { os: "linux", architecture: "amd64" } },
        {
          digest: pushed.manifestDigest,
          artifactType: "application/vnd.nydus.image.manifest.v1+json",
          platform: {
            os: "linux",
            architecture: "amd64",
            "os.features": ["nydus.remoteimage.v1"],
          },
        },
      ],
    });
    expect(await isFoundOnDemand(name)).toBe(true);
    const layout = join(await place.directory(), "copy");
    await run("skopeo", "copy", "--src-tls-verify=false", `docker://${name}`, `oci:${layout}:a`);
    const copied = JSON.parse(await run("skopeo", "inspect", "--raw", `oci:${layout}:a`));
    expect(copied.layers.length).toBeGreaterThan(2);
  });

  it("takes the place of an older one, and leaves other images alone", async () => {
    const [repository = ""] = name.split(":v1");
    const config = ["umoci", "config", "--image", `${image.layout}:arm`] as const;
    await run("umoci", "tag", "--image", `${image.layout}:${image.tag}`, "arm");
    await run(...config, "--architecture", "arm64");
    const flags = ["--dest-tls-verify=false"];
    await run("skopeo", "copy", ...flags, `oci:${image.layout}:arm`, `docker://${repository}:arm`);
    await store.push(name, name, { form: "nydus", attach: "index" });
    const first = await raw(name);

    const arm = { digest: await digestOf(`${repository}:arm`), size: 0 };
    const manifest = await run(
      "skopeo",
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://${repository}:arm`,
    );
    const entry = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      ...arm,
      size: Buffer.byteLength(manifest),
      platform: { os: "linux", architecture: "arm64" },
      data: "kept",
    };
    const index = {
      ...first,
      manifests: [...(first.manifests ?? []), entry],
      annotations: { a: "b" },
    };
    await putManifest(name, index);
    const pushed = await store.push(name, name, {
      form: "nydus",
      attach: "index",
      compression: "none",
    });
    const second = await raw(name);
    expect(second).toMatchObject({ annotations: { a: "b" } });
    expect(second.manifests).toEqual([
      first.manifests?.[0],
      entry,
      { ...first.manifests?.[1], digest: pushed.manifestDigest, size: expect.any(Number) },
    ]);
    expect(await isFoundOnDemand(name)).toBe(true);
  });

  it("is not made when the name stands for other images by now", async () => {
    const index = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [],
    };
    await putManifest(name, index);
    await expect(store.push(name, name, { form: "nydus", attach: "index" })).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    expect(await raw(name)).toEqual(index);
  });

  it("brings the ordinary one along to where it is not", async () => {
    const target = `${registry.host}/elsewhere/app-${count}:v1`;
    const before = await digestOf(name);
    await store.push(name, target, { form: "nydus", attach: "index" });
    expect((await raw(target)).manifests?.[0]?.digest).toBe(before);
    expect(await isFoundOnDemand(target)).toBe(true);
  });

  it.each(["oci", "oci-archive"])("goes into files, with the ordinary one: %s", async (kind) => {
    const files = `${kind}:${await place.directory()}/files:both`;
    await store.push(name, files, { form: "nydus", attach: "index" });
    const copied = JSON.parse(await run("skopeo", "inspect", files));
    expect(copied.Layers.length).toBeGreaterThan(2);
    const other = await place.open(`${kind}-${count}`);
    await other.pullImage({ image: { image: files } });
    expect(await other.inspect("localhost/files:both")).toMatchObject({ isOnDemand: true });
    // Again, over what is there.
    await store.push(name, files, { form: "nydus", attach: "index" });
    expect(JSON.parse(await run("skopeo", "inspect", files))).toEqual(copied);
  });
});

describe("a Nydus image that refers to the ordinary one", () => {
  it("is found by the plain name, which goes on to stand for the ordinary one", async () => {
    const before = await digestOf(name);
    const pushed = await store.push(name, name, { form: "nydus", attach: "subject" });
    expect(pushed.digest).toBe(before);
    expect(await digestOf(name)).toBe(before);
    const [repository = ""] = name.split(":v1");
    expect(await raw(`${repository}@${pushed.manifestDigest}`)).toMatchObject({
      subject: { digest: before },
      artifactType: "application/vnd.nydus.image.manifest.v1+json",
    });
    expect(await isFoundOnDemand(name)).toBe(true);
  });

  it("brings the ordinary one along to where it is not", async () => {
    await using proxy = await countingProxy(registry.port);
    const target = `${proxy.host}/elsewhere/app-${count}:v1`;
    const before = await digestOf(name);
    await store.push(name, target, { form: "nydus", attach: "subject" });
    expect(await digestOf(target)).toBe(before);
    expect(await isFoundOnDemand(target)).toBe(true);
  });

  it("is not made when the name stands for another image by now", async () => {
    const newer = await sampleImage(await place.directory());
    await run("skopeo", "copy", "--dest-tls-verify=false", newer.name, `docker://${name}`);
    const pushed = store.push(name, name, { form: "nydus", attach: "subject" });
    await expect(pushed).rejects.toMatchObject({ code: "STATE_CONFLICT" });
  });
});

it("refuses to attach an image that was pulled in Nydus' form", async () => {
  const nydus = `${registry.host}/team/nydus-${count}:v1`;
  await store.convert(name, nydus);
  await store.pullImage({ image: { image: nydus } });
  const pushed = store.push(nydus, nydus, { form: "nydus", attach: "index" });
  await expect(pushed).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
});

async function putManifest(ref: string, manifest: object): Promise<void> {
  const [, repository = "", tag = ""] = /^[^/]+\/(.*):([^:]+)$/.exec(ref) ?? [];
  const answer = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { "content-type": "application/vnd.oci.image.index.v1+json" },
    body: JSON.stringify(manifest),
  });
  expect(answer.status).toBe(201);
}
