import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { AuthConfig } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  copyImage,
  createRegistryClient,
  mediaTypes,
  openImageSource,
  openImageTarget,
  parseReference,
  type Descriptor,
  type ImageTarget,
  type OpenImageTargetOptions,
} from "../../src/registry/index.ts";
import { collect } from "./collect.ts";
import { startDockerRegistry } from "./docker-registry.ts";
import {
  run,
  sampleImage,
  temporaryDirectory,
  type SampleImage,
  type TemporaryDirectory,
} from "./sample-image.ts";
import { selfSignedCertificate, startTokenServer } from "./token-server.ts";

let directory: TemporaryDirectory;
let sample: SampleImage;
let digest: string;

/** No credentials of whoever runs the tests, and no proxy. */
const env = { HOME: "/nonexistent", PATH: process.env["PATH"] };
const anna: AuthConfig = { username: "anna", password: "s3cret" };

beforeAll(async () => {
  directory = await temporaryDirectory();
  sample = await sampleImage(directory.path, 3_000_000);
  digest = JSON.parse(await run("skopeo", "inspect", sample.name)).Digest;
});
afterAll(() => directory[Symbol.asyncDispose]());

async function push(name: string, options: OpenImageTargetOptions = {}): Promise<Descriptor> {
  await using source = await openImageSource(sample.name);
  await using target = await openImageTarget(name, { env, ...options });
  const top = await copyImage(source, target);
  await target.finish();
  return top;
}

async function pull(name: string, options: OpenImageTargetOptions = {}): Promise<string> {
  await using source = await openImageSource(name, { env, ...options });
  const out = `oci:${join(directory.path, `pulled-${randomBytes(4).toString("hex")}`)}:x`;
  await using target = await openImageTarget(out);
  await copyImage(source, target);
  await target.finish();
  return JSON.parse(await run("skopeo", "inspect", out)).Digest;
}

describe("a registry without a login", () => {
  test("takes and gives images as skopeo does", async () => {
    await using registry = await startDockerRegistry();
    const ours = `${registry.host}/ours/sample:v1`;
    expect((await push(ours)).digest).toBe(digest);
    const args = ["inspect", "--tls-verify=false", `docker://${ours}`];
    expect(JSON.parse(await run("skopeo", ...args)).Digest).toBe(digest);
    const dir = `dir:${join(directory.path, "ours")}`;
    await run("skopeo", "copy", "--src-tls-verify=false", `docker://${ours}`, dir);

    const theirs = `${registry.host}/theirs/sample`;
    await run("skopeo", "copy", "--dest-tls-verify=false", sample.name, `docker://${theirs}:v2`);
    expect(await pull(`${theirs}:v2`)).toBe(digest);
    expect(await pull(`${theirs}@${digest}`)).toBe(digest);
    await expect(pull(`${theirs}:nope`)).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });
    await expect(pull(`${registry.host}/nobody/nothing`)).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });

  test("keeps Docker's own manifests as they are", async () => {
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/docker/sample:v1`;
    const flags = ["--dest-tls-verify=false", "--format", "v2s2"];
    await run("skopeo", "copy", ...flags, sample.name, `docker://${name}`);
    await using source = await openImageSource(name, { env });
    const image = await source.resolve();
    expect(image.manifest.descriptor.mediaType).toBe(mediaTypes.dockerManifest);
    expect(image.config.descriptor.mediaType).toBe(mediaTypes.dockerConfig);
    const inspected = await run("skopeo", "inspect", "--tls-verify=false", `docker://${name}`);
    expect(image.digest).toBe(JSON.parse(inspected).Digest);
  });

  test("takes blobs in pieces", async () => {
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/pieces/sample:v1`;
    await push(name, { chunkBytes: 100_000 });
    expect(await pull(name)).toBe(digest);
  });

  test("mounts blobs of another repository instead of taking them again", async () => {
    await using registry = await startDockerRegistry();
    await push(`${registry.host}/first/sample:v1`);
    await using source = await openImageSource(sample.name);
    const { layers } = await source.resolve();
    await using target = await openImageTarget(`${registry.host}/second/sample`, { env });
    const never = (): never => {
      throw new Error("it was asked for");
    };
    const [layer] = layers;
    if (layer === undefined) throw new Error("no layer");
    const mountFrom = "first/sample";
    expect(await target.writeBlob(layer, never, { mountFrom })).toBe("mounted");
    expect(await target.writeBlob(layer, never)).toBe("exists");
    const other = layers[1] ?? layer;
    const content = (): AsyncIterable<Buffer> => source.openBlob(other);
    expect(await target.writeBlob(other, content, { mountFrom: "no/such" })).toBe("written");
  });

  test("gets nothing of a blob that is not what its digest says", async () => {
    await using registry = await startDockerRegistry();
    await using target = await openImageTarget(`${registry.host}/x/y`, { env });
    const bytes = randomBytes(500_000);
    const descriptor = { ...describeBytes(bytes), digest: describeBytes(randomBytes(8)).digest };
    const content = (): AsyncIterable<Buffer> => stream(bytes);
    await expect(target.writeBlob(descriptor, content)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    await using pieces = await openImageTarget(`${registry.host}/x/y`, { env, chunkBytes: 70_000 });
    await expect(pieces.writeBlob(descriptor, content)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    expect((await fetch(`${registry.url}/v2/x/y/blobs/${descriptor.digest}`)).status).toBe(404);
  });

  test("gives ranges and tags, and lists referrers by their tag", async () => {
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/r/sample`;
    await push(`${name}:a`);
    await push(`${name}:b`);
    await using source = await openImageSource(`${name}:a`, { env });
    expect((await source.listTags()).toSorted()).toEqual(["a", "b"]);
    const image = await source.resolve();
    const layer = image.layers.at(-1);
    if (layer === undefined) throw new Error("no layer");
    const whole = await collect(source.openBlob(layer));
    const offsets = [0, 1, 70_000, layer.size - 5_000];
    const parts = await Promise.all(
      offsets.map((offset) => source.readRange(layer, { offset, length: 5_000 })),
    );
    for (const [index, offset] of offsets.entries()) {
      expect(parts[index]?.equals(whole.subarray(offset, offset + 5_000))).toBe(true);
    }
    const hash = createHash("sha256").update(whole.subarray(0, 99));
    const rest = await collect(source.openBlob(layer, { offset: 99, hash }));
    expect(rest.equals(whole.subarray(99))).toBe(true);

    expect(await source.listReferrers(image.digest)).toEqual([]);
    await using target = await openImageTarget(name, { env });
    const notes = [
      await addNote(target, image.digest, "1"),
      await addNote(target, image.digest, "2"),
    ];
    const found = await source.listReferrers(image.digest, { artifactType: "application/x-note" });
    expect(found.map((entry) => entry.digest)).toEqual(notes.map((note) => note.digest));
    expect(await source.listReferrers(image.digest, { artifactType: "x/y" })).toEqual([]);
  });

  test("keeps an image of several platforms whole, and gives each its own", async () => {
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/multi/sample`;
    const platforms = ["amd64", "arm64", "arm/v6", "arm/v7"];
    const manifests: object[] = [];
    await using target = await openImageTarget(`${name}:all`, { env });
    for (const [index, platform] of platforms.entries()) {
      const [architecture = "", variant] = platform.split("/");
      const layout = join(directory.path, `platform-${index}`);
      await run("cp", "-r", sample.layout, layout);
      const flags = ["--image", `${layout}:one`, "--architecture", architecture];
      await run("umoci", "config", ...flags, "--config.label", `p=${platform}`);
      await using source = await openImageSource(`oci:${layout}:one`);
      const manifest = await source.fetchManifest();
      if (manifest.kind !== "manifest") throw new Error("an index");
      for (const blob of [manifest.manifest.config, ...manifest.manifest.layers]) {
        await target.writeBlob(blob, () => source.openBlob(blob));
      }
      const { mediaType } = manifest.descriptor;
      const written = await target.writeManifest({ bytes: manifest.bytes, mediaType });
      const wire = { os: "linux", architecture, ...(variant && { variant }) };
      manifests.push({ ...written, platform: wire });
    }
    const mediaType = mediaTypes.ociIndex;
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    const index = await target.writeManifest({ bytes, mediaType }, { as: "name" });

    await using source = await openImageSource(`${name}:all`, { env });
    for (const [platform, expected] of [
      [{ architecture: "amd64" }, "amd64"],
      [{ architecture: "arm64", variant: "v8" }, "arm64"],
      [{ architecture: "arm", variant: "v7" }, "arm/v7"],
      [{ architecture: "arm", variant: "v6" }, "arm/v6"],
    ] as const) {
      const image = await source.resolve({ platform: { os: "linux", ...platform } });
      expect(image.digest).toBe(index.digest);
      expect(image.config.file.config?.Labels).toEqual({ p: expected });
    }
    await expect(
      source.resolve({ platform: { os: "linux", architecture: "arm", variant: "v5" } }),
    ).rejects.toThrow(/has: linux\/amd64, linux\/arm64, linux\/arm\/v6, linux\/arm\/v7/);
    await expect(
      source.resolve({ platform: { os: "windows", architecture: "amd64" } }),
    ).rejects.toMatchObject({ code: "IMAGE_NOT_FOUND" });

    const copyName = `oci:${join(directory.path, "multi-copy")}:m`;
    await using copyTarget = await openImageTarget(copyName);
    expect((await copyImage(source, copyTarget)).digest).toBe(index.digest);
    await copyTarget.finish();
    const raw = await run("skopeo", "inspect", "--raw", copyName);
    expect(JSON.parse(raw).manifests).toHaveLength(4);
  });
});

describe("a registry with a login", () => {
  test("by HTTP Basic lets in its user and nobody else", async () => {
    const basic = { username: "anna", password: "s3cret" };
    await using registry = await startDockerRegistry({ basic });
    const name = `${registry.host}/a/b:c`;
    await expect(push(name)).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    const wrong = await push(name, { auth: { username: "anna", password: "wr0ng" } }).catch(String);
    expect(wrong).toContain("does not give access");
    expect(wrong).not.toMatch(/wr0ng|anna/);
    await push(name, { auth: anna });
    const auth = Buffer.from("anna:s3cret").toString("base64");
    expect(await pull(name, { auth: { auth, serverAddress: `http://${registry.host}/v2/` } })).toBe(
      digest,
    );
    await expect(
      pull(name, { auth: { ...anna, serverAddress: "elsewhere.example" } }),
    ).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    const flags = ["--tls-verify=false", "--creds", "anna:s3cret"];
    const inspected = await run("skopeo", "inspect", ...flags, `docker://${name}`);
    expect(JSON.parse(inspected).Digest).toBe(digest);
  });

  test("by tokens is asked for one token per scope, however many requests there are", async () => {
    const keys = await selfSignedCertificate(directory.path);
    await using tokens = await startTokenServer({ keys, username: "anna", password: "s3cret" });
    const { certificateFile } = keys;
    await using registry = await startDockerRegistry({ token: { ...tokens, certificateFile } });
    const name = `${registry.host}/private/b:c`;
    await expect(push(name)).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    await push(name, { auth: anna });

    const before = tokens.questions.length;
    expect(await pull(name, { auth: anna })).toBe(digest);
    expect(tokens.questions.slice(before).map(({ scopes }) => scopes)).toEqual([
      ["repository:private/b:pull"],
    ]);
    await expect(pull(name)).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    await expect(pull(name, { auth: { username: "anna", password: "x" } })).rejects.toMatchObject({
      code: "REGISTRY_AUTH_FAILED",
    });

    await push(`${registry.host}/public/b:c`, { auth: anna });
    expect(await pull(`${registry.host}/public/b:c`)).toBe(digest);

    const last = tokens.questions.length;
    expect(await pull(name, { auth: { identityToken: "an-identity-token" } })).toBe(digest);
    expect(tokens.questions.slice(last).map(({ method }) => method)).toEqual(["POST"]);

    // A mount reads another repository: its token has both scopes.
    await using target = await openImageTarget(`${registry.host}/private/d`, { env, auth: anna });
    await using source = await openImageSource(sample.name);
    const [layer] = (await source.resolve()).layers;
    if (layer === undefined) throw new Error("no layer");
    const content = (): AsyncIterable<Buffer> => source.openBlob(layer);
    const mounted = await target.writeBlob(layer, content, { mountFrom: "private/b" });
    expect(mounted).toBe("mounted");
  });

  test("by tokens of a server that only knows POST works, too", async () => {
    const keys = await selfSignedCertificate(directory.path);
    const login = { username: "anna", password: "s3cret" };
    await using tokens = await startTokenServer({ keys, ...login, postOnly: true });
    const { certificateFile } = keys;
    await using registry = await startDockerRegistry({ token: { ...tokens, certificateFile } });
    await push(`${registry.host}/a/b:c`, { auth: anna });
    expect(await pull(`${registry.host}/a/b:c`, { auth: anna })).toBe(digest);
  });

  test("gets a new token before the old one ends", async () => {
    const keys = await selfSignedCertificate(directory.path);
    const login = { username: "anna", password: "s3cret" };
    await using tokens = await startTokenServer({ keys, ...login, expiresIn: 120 });
    const { certificateFile } = keys;
    await using registry = await startDockerRegistry({ token: { ...tokens, certificateFile } });
    const name = `${registry.host}/a/b:c`;
    await push(name, { auth: anna });
    await using client = createRegistryClient({ env });
    await using source = client.source(parseReference(name), { auth: anna });
    const before = tokens.questions.length;
    await source.resolve();
    await source.resolve();
    expect(tokens.questions.length).toBe(before + 1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 110_000 });
    try {
      await Promise.all([source.resolve(), source.resolve(), source.listTags()]);
    } finally {
      vi.useRealTimers();
    }
    expect(tokens.questions.length).toBe(before + 2);
  });
});

describe("a registry with TLS of its own", () => {
  test("is only trusted with its certificate, or when told to", async () => {
    const keys = await selfSignedCertificate(directory.path);
    await using registry = await startDockerRegistry({ tls: keys });
    const name = `${registry.host}/a/b:c`;
    const ca = await readFile(keys.certificateFile, "utf8");
    const withTls = (tls: object): OpenImageTargetOptions => ({
      hosts: { [registry.host]: { tls } },
    });
    const refused = await push(name, withTls({})).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "IMAGE_PULL_FAILED", retryable: false });
    expect(String(refused)).toMatch(/cannot be trusted.*SELF_SIGNED/);
    await push(name, withTls({ ca }));
    expect(await pull(name, withTls({ insecureSkipVerify: true }))).toBe(digest);
    // Plain http is not tried in its place, nor the other way round.
    await expect(pull(name)).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
  });
});

test("a registry with TLS is reached through a proxy's tunnel", async () => {
  const keys = await selfSignedCertificate(directory.path);
  await using registry = await startDockerRegistry({ tls: keys });
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on("connect", (request: IncomingMessage, client: Duplex) => {
    asked.push(request.url ?? "");
    const server = connect(registry.port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client).pipe(server);
    });
    server.on("error", () => client.destroy());
    client.on("error", () => server.destroy());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  try {
    const options = {
      env: { ...env, https_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
      hosts: { "registry.example": { tls: { insecureSkipVerify: true } } },
    };
    await push("registry.example/a/b:c", options);
    expect(await pull("registry.example/a/b:c", options)).toBe(digest);
    await expect(pull("registry.example/a/b:c", { env: options.env })).rejects.toThrow(
      /cannot be trusted/,
    );
    expect(new Set(asked)).toEqual(new Set(["registry.example:443"]));
  } finally {
    proxy.close();
  }
});

function describeBytes(bytes: Buffer): Descriptor {
  const hex = createHash("sha256").update(bytes).digest("hex");
  return { mediaType: "application/x-data", digest: `sha256:${hex}`, size: bytes.length };
}

async function* stream(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += 65_536) {
    yield bytes.subarray(start, start + 65_536);
  }
}

async function addNote(target: ImageTarget, subject: string, text: string): Promise<Descriptor> {
  const empty = Buffer.from("{}");
  const config = { ...describeBytes(empty), mediaType: mediaTypes.ociEmpty };
  await target.writeBlob(config, () => stream(empty));
  const mediaType = mediaTypes.ociManifest;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    artifactType: "application/x-note",
    config,
    layers: [config],
    subject: { mediaType, digest: subject, size: 1 },
    annotations: { text },
  };
  return target.writeManifest({ bytes: Buffer.from(JSON.stringify(manifest)), mediaType });
}
