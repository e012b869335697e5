import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { AuthConfig } from "@longshore/core";
import {
  openImageSource,
  openImageTarget,
  parsePlatform,
  type Descriptor,
  type ImageSource,
  type OpenImageSourceOptions,
} from "../../src/registry/index.ts";
import { collect } from "./collect.ts";
import {
  fakeImage,
  notFound,
  sendBlob,
  sendManifest,
  serveImage,
  sha256,
  startServer,
  type FakeServer,
} from "./fake-registry.ts";

const env = { HOME: "/nonexistent" };
const platform = parsePlatform("linux/amd64");
const secret: AuthConfig = { username: "anna", password: "top-s3cret" };
const image = fakeImage(randomBytes(2_000_000));
const layer: Descriptor = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: image.layerDigest,
  size: image.layer.length,
};

function open(server: FakeServer, options: OpenImageSourceOptions = {}): Promise<ImageSource> {
  return openImageSource(`${server.host}/a/b:c`, { env, retryDelayMs: 1, retries: 2, ...options });
}

async function readLayer(source: ImageSource): Promise<Buffer> {
  return await collect(source.openBlob(layer));
}

/** What a failure shows: message, cause, details. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const details = "details" in error ? JSON.stringify(error.details) : "";
  return `${error.stack} ${details} ${JSON.stringify(error)} ${everythingIn(error.cause ?? "")}`;
}

describe("a blob", () => {
  test("of another size than promised is refused before it is read", async () => {
    await using server = await startServer((_, response) => {
      response
        .writeHead(200, { "content-length": layer.size + 1 })
        .end(Buffer.alloc(layer.size + 1));
    });
    await using source = await open(server);
    await expect(readLayer(source)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(server.seen).toHaveLength(1);
  });

  test("that goes on behind its end is refused at the first byte too many", async () => {
    let sent = 0;
    await using server = await startServer(async (_, response) => {
      response.writeHead(200);
      while (!response.destroyed) {
        sent += 1_000_000;
        if (!response.write(Buffer.alloc(1_000_000))) {
          await Promise.race([once(response, "drain"), once(response, "close")]);
        }
      }
    });
    await using source = await open(server);
    await expect(readLayer(source)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(sent).toBeLessThan(50_000_000);
  });

  test("with a wrong byte never comes to its end", async () => {
    const wrong = Buffer.from(image.layer);
    wrong[10] = (wrong[10] ?? 0) ^ 1;
    await using server = await startServer((request, response) => {
      sendBlob(request, response, wrong);
    });
    await using source = await open(server);
    let size = 0;
    const read = async (): Promise<void> => {
      for await (const piece of source.openBlob(layer)) size += piece.length;
    };
    await expect(read()).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(size).toBeLessThan(layer.size);
  });

  test("is continued where its connection broke, as often as it gets on", async () => {
    await using server = await startServer((request, response) => {
      const start = Number(/=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const isPart = request.headers.range !== undefined;
      response.writeHead(isPart ? 206 : 200, {
        "content-length": layer.size - start,
        ...(isPart && { "content-range": `bytes ${start}-${layer.size - 1}/${layer.size}` }),
      });
      const bytes = image.layer.subarray(start, start + 400_000);
      response.write(bytes, () => {
        if (start + bytes.length < layer.size) response.destroy();
        else response.end();
      });
    });
    await using source = await open(server, { retries: 3 });
    expect((await readLayer(source)).equals(image.layer)).toBe(true);
    const ranges = server.seen.map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.length).toBeGreaterThan(4);
    expect(new Set(ranges).size).toBe(ranges.length);
  });

  test("is continued at a server that has no ranges", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { "content-length": layer.size });
      if (server.seen.length > 1) response.end(image.layer);
      else response.write(image.layer.subarray(0, 900_000), () => response.destroy());
    });
    await using source = await open(server);
    expect((await readLayer(source)).equals(image.layer)).toBe(true);
    const part = await source.readRange(layer, { offset: 1_999_000, length: 1_000 });
    expect(part.equals(image.layer.subarray(1_999_000))).toBe(true);
  });

  test("that always ends too early is given up", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200);
      response.end(image.layer.subarray(0, 10));
    });
    await using source = await open(server);
    await expect(readLayer(source)).rejects.toMatchObject({
      code: "IMAGE_PULL_FAILED",
      retryable: true,
    });
    expect(server.seen).toHaveLength(3);
  });

  test("that stalls runs into its time-out", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { "content-length": layer.size });
      response.write(image.layer.subarray(0, 1_000));
    });
    await using source = await open(server, { stallTimeoutMs: 100, retries: 0 });
    await expect(readLayer(source)).rejects.toMatchObject({
      code: "IMAGE_PULL_FAILED",
      message: expect.stringContaining("UND_ERR_BODY_TIMEOUT"),
    });
  });

  test("and a manifest that nobody answers for run into theirs", async () => {
    await using server = await startServer(() => {});
    await using source = await open(server, { requestTimeoutMs: 100, retries: 0 });
    await expect(readLayer(source)).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
    await expect(source.resolve()).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
  });

  test("is dropped at once when the reader aborts, or the source is closed", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { "content-length": layer.size });
      response.write(image.layer.subarray(0, 100_000));
    });
    const source = await open(server);
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const blob = source.openBlob(layer, { signal: controller.signal })[Symbol.asyncIterator]();
    await blob.next();
    const next = blob.next();
    controller.abort(reason);
    await expect(next).rejects.toBe(reason);

    const other = source.openBlob(layer)[Symbol.asyncIterator]();
    await other.next();
    const waiting = other.next();
    const refused = waiting.catch((error: unknown) => error);
    await source[Symbol.asyncDispose]();
    expect(await refused).toMatchObject({ name: "AbortError" });
  });

  test.for([
    ["another part", { "content-range": `bytes 5-1004/${layer.size}` }],
    ["a part of another blob", { "content-range": "bytes 0-999/12345" }],
    ["several parts", { "content-type": "multipart/byteranges; boundary=x" }],
    ["no range", {}],
  ] as const)("is not read from %s than was asked for", async ([, headers]) => {
    await using server = await startServer((_, response) => {
      response.writeHead(206, headers).end(Buffer.alloc(1_000));
    });
    await using source = await open(server);
    await expect(source.readRange(layer, { offset: 0, length: 1_000 })).rejects.toMatchObject({
      code: expect.stringMatching(/^IMAGE_(PULL_FAILED|CHECKSUM_MISMATCH)$/),
      retryable: false,
    });
  });

  test("is not fetched from the addresses of a foreign layer", async () => {
    await using elsewhere = await startServer(serveImage(image));
    await using server = await startServer((_, response) => notFound(response));
    await using source = await open(server);
    const foreign = { ...layer, urls: [`${elsewhere.url}/v2/a/b/blobs/${layer.digest}`] };
    await expect(collect(source.openBlob(foreign))).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    expect(elsewhere.seen).toHaveLength(0);
  });
});

describe("credentials", () => {
  test("do not follow a redirect to another host, and its address is asked again", async () => {
    let isExpired = false;
    await using storage = await startServer((request, response) => {
      if (isExpired) response.writeHead(403).end();
      else sendBlob(request, response, image.layer);
    });
    await using server = await startServer((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        return;
      }
      isExpired = false;
      response.writeHead(307, { location: `${storage.url}/blob?signature=s1gned` }).end();
    });
    await using source = await open(server, { auth: secret });
    expect((await readLayer(source)).equals(image.layer)).toBe(true);
    expect(storage.seen[0]?.headers).not.toHaveProperty("authorization");
    expect(storage.seen[0]?.headers).not.toHaveProperty("cookie");

    const asked = server.seen.length;
    const range = { offset: 7, length: 1_000 };
    await source.readRange(layer, range);
    expect(server.seen).toHaveLength(asked);
    isExpired = true;
    const part = await source.readRange(layer, range);
    expect(part.equals(image.layer.subarray(7, 1_007))).toBe(true);
    expect(server.seen).toHaveLength(asked + 1);
  });

  test("are not given to a host that a redirect led to, when it asks for them", async () => {
    await using thief: FakeServer = await startServer((_, response) => {
      const challenges = [`Bearer realm="${thief.url}/token"`, 'Basic realm="x"'];
      response.writeHead(401, { "www-authenticate": challenges }).end();
    });
    await using server = await startServer((_, response) => {
      response.writeHead(302, { location: `${thief.url}/x` }).end();
    });
    await using source = await open(server, { auth: secret });
    await expect(source.resolve()).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    expect(thief.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  test("are not part of any error, even when the server says them", async () => {
    await using server = await startServer((request, response) => {
      const { authorization } = request.headers;
      if (authorization === undefined) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
        return;
      }
      const message = `you said ${authorization}`;
      response.writeHead(403).end(JSON.stringify({ errors: [{ code: "DENIED", message }] }));
    });
    await using source = await open(server, { auth: secret });
    const error: unknown = await source.resolve().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    expect(String(error)).toContain("DENIED");
    const encoded = Buffer.from("anna:top-s3cret").toString("base64");
    expect(everythingIn(error)).not.toMatch(new RegExp(`top-s3cret|${encoded}`));
  });

  test("for a registry do not go to its mirrors", async () => {
    await using mirror = await startServer((_, response) => {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    });
    await using server = await startServer(serveImage(image));
    const hosts = { [server.host]: { mirrors: [`${mirror.host}/cache`] } };
    await using source = await open(server, { auth: secret, hosts });
    expect((await source.resolve({ platform })).digest).toBe(image.digest);
    expect(mirror.seen.map(({ path }) => path)).toContain("/v2/cache/a/b/manifests/c");
    expect(mirror.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  test("are not sent to a token server without TLS that is elsewhere", async () => {
    await using server = await startServer((_, response) => {
      const challenge = 'Bearer realm="http://tokens.example/token",service="x"';
      response.writeHead(401, { "www-authenticate": challenge }).end();
    });
    await using source = await open(server, { auth: secret });
    await expect(source.resolve()).rejects.toThrow(/tokens\.example without TLS/);
  });

  test("come from a token server that a refused token leads to again", async () => {
    let good = "token-1";
    await using server: FakeServer = await startServer((request, response) => {
      if (request.url?.startsWith("/token")) {
        response.end(JSON.stringify({ access_token: good, expires_in: 3_600 }));
      } else if (request.headers.authorization === `Bearer ${good}`) {
        void serveImage(image)(request, response);
      } else {
        const isTried = request.headers.authorization !== undefined;
        const challenge = `Bearer realm="${server.url}/token",service="s",scope="repository:a/b:pull"`;
        // Some say how to log in only to those who do not try.
        response.writeHead(401, isTried ? {} : { "www-authenticate": challenge }).end();
      }
    });
    await using source = await open(server);
    await source.resolve({ platform });
    good = "token-2";
    expect((await source.resolve({ platform })).digest).toBe(image.digest);
    const tokens = server.seen.filter(({ path }) => path.startsWith("/token"));
    expect(tokens).toHaveLength(2);
    expect(new URL(tokens[0]?.path ?? "", server.url).searchParams.getAll("scope")).toEqual([
      "repository:a/b:pull",
    ]);
  });

  test("that are never good enough are given up", async () => {
    await using server: FakeServer = await startServer((request, response) => {
      if (request.url?.startsWith("/token")) response.end('{"token":"t"}');
      else {
        const challenge = `Bearer realm="${server.url}/token",service="s"`;
        response.writeHead(401, { "www-authenticate": challenge }).end();
      }
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    expect(server.seen.length).toBeLessThanOrEqual(4);
  });

  test.for(["not json", '{"token":""}', '{"token":"a\\r\\nx-evil: 1"}', "[]", "{}"])(
    "that are no token are refused: %s",
    async (answer) => {
      await using server: FakeServer = await startServer((request, response) => {
        if (request.url?.startsWith("/token")) response.end(answer);
        else {
          const challenge = `Bearer realm="${server.url}/token"`;
          response.writeHead(401, { "www-authenticate": challenge }).end();
        }
      });
      await using source = await open(server);
      await expect(source.resolve()).rejects.toMatchObject({
        code: expect.stringMatching(/^(REGISTRY_AUTH_FAILED|VALIDATION_ERROR)$/),
      });
    },
  );
});

test("proxies of the environment are used, but not for this machine", async () => {
  await using proxy = await startServer((request, response) => {
    // An http proxy sees the whole address.
    request.url = new URL(request.url ?? "", "http://registry.example").pathname;
    void serveImage(image)(request, response);
  });
  await using server = await startServer(serveImage(image));
  const hosts = { "registry.example": { plainHttp: true }, "direct.example": { plainHttp: true } };
  const proxied = { ...env, HTTP_PROXY: proxy.url, NO_PROXY: "direct.example" };
  const options = { env: proxied, hosts, retries: 0 };
  await using source = await openImageSource("registry.example/a/b:c", options);
  expect((await source.resolve({ platform })).digest).toBe(image.digest);
  expect(proxy.seen.length).toBeGreaterThan(0);
  const before = proxy.seen.length;
  await using local = await open(server, options);
  await local.resolve({ platform });
  await using direct = await openImageSource("direct.example/a/b:c", options);
  await expect(direct.resolve({ platform })).rejects.toMatchObject({ code: "IMAGE_PULL_FAILED" });
  expect(proxy.seen).toHaveLength(before);
});

describe("a registry that is busy", () => {
  test("is asked again when it said", async () => {
    const times: number[] = [];
    await using server = await startServer((request, response) => {
      times.push(performance.now());
      if (times.length === 1) response.writeHead(429, { "retry-after": "1" }).end();
      else if (times.length === 2) response.writeHead(503).end();
      else void serveImage(image)(request, response);
    });
    await using source = await open(server);
    expect((await source.fetchManifest()).descriptor.digest).toBe(image.digest);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(950);
    expect(times).toHaveLength(3);
  });

  test("is not waited for longer than allowed", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(429, { "retry-after": "3600" }).end();
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toMatchObject({
      code: "IMAGE_PULL_FAILED",
      retryable: true,
      retryAfterMs: 3_600_000,
    });
    expect(server.seen).toHaveLength(1);
  });

  test("or gone is replaced by the next one that has the image", async () => {
    await using broken = await startServer((_, response) => void response.destroy());
    await using server = await startServer(serveImage(image));
    const hosts = { [server.host]: { mirrors: [broken.host, "127.0.0.1:1"] } };
    await using source = await open(server, { hosts });
    expect((await source.resolve({ platform })).digest).toBe(image.digest);
    expect((await readLayer(source)).equals(image.layer)).toBe(true);
  });
});

describe("a manifest", () => {
  async function resolveOf(bytes: Buffer | string, reference = ":c"): Promise<unknown> {
    await using server = await startServer((_, response) => sendManifest(response, bytes));
    const options = { env, retries: 0 };
    await using source = await openImageSource(`${server.host}/a/b${reference}`, options);
    return await source.resolve({ platform });
  }

  test("that is too large is refused, with and without a length", async () => {
    await expect(resolveOf(Buffer.alloc(5_000_000, " "))).rejects.toThrow(/larger than 4194304/);
    await using server = await startServer(async (_, response) => {
      response.writeHead(200);
      while (!response.destroyed) {
        if (!response.write(Buffer.alloc(1_000_000, " "))) {
          await Promise.race([once(response, "drain"), once(response, "close")]);
        }
      }
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(server.seen).toHaveLength(1);
  });

  const config = { mediaType: "x/y", digest: sha256(""), size: 0 };
  test.for([
    ["no JSON", "<html>"],
    ["not UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["too deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["an array", "[]"],
    ["null", "null"],
    ["of schema 1", JSON.stringify({ schemaVersion: 1, fsLayers: [] })],
    ["an index in one", JSON.stringify({ schemaVersion: 2, config, layers: [], manifests: [] })],
    ["without a config", JSON.stringify({ schemaVersion: 2, layers: [] })],
    [
      "with a wrong digest",
      JSON.stringify({ schemaVersion: 2, config: { ...config, digest: "sha256:x" }, layers: [] }),
    ],
    [
      "with a negative size",
      JSON.stringify({ schemaVersion: 2, config: { ...config, size: -1 }, layers: [] }),
    ],
    [
      "a bomb of layers",
      JSON.stringify({
        schemaVersion: 2,
        config,
        layers: Array.from({ length: 5_000 }, () => config),
      }),
    ],
    [
      "of something else",
      JSON.stringify({ schemaVersion: 2, mediaType: "a/b", config, layers: [] }),
    ],
    ["of no container image", JSON.stringify({ schemaVersion: 2, config, layers: [] })],
  ] as const)("is refused when it is %s", async ([, bytes]) => {
    await expect(resolveOf(bytes)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  test("is refused when it is not the one of the digest", async () => {
    await expect(resolveOf(image.manifest, `@${sha256("other")}`)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    await using server = await startServer((_, response) => {
      response.setHeader("docker-content-digest", sha256("other"));
      sendManifest(response, image.manifest);
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
  });

  test("that leads back to itself, or too deep, is refused", async () => {
    const type = "application/vnd.oci.image.index.v1+json";
    const index = (manifests: readonly object[]): Buffer =>
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, manifests }));
    const entry = (bytes: Buffer): object => ({
      mediaType: type,
      digest: sha256(bytes),
      size: bytes.length,
    });
    const chain = [index([])];
    for (let depth = 0; depth < 6; depth += 1)
      chain.unshift(index([entry(chain[0] ?? Buffer.of())]));
    const byDigest = new Map(chain.map((bytes) => [sha256(bytes), bytes]));
    await using deep = await startServer((request, response) => {
      const name = request.url?.split("/").at(-1) ?? "";
      response.writeHead(200, { "content-type": type }).end(byDigest.get(name) ?? chain[0]);
    });
    await using deepSource = await open(deep);
    await expect(deepSource.resolve()).rejects.toThrow(/nested deeper/);

    // A true circle would need a digest of itself: it can only be claimed.
    const circle = index([{ mediaType: type, digest: sha256("circle"), size: 200 }]);
    await using server = await startServer((_, response) => {
      response.writeHead(200, { "content-type": type }).end(circle);
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(server.seen.length).toBeLessThan(5);
    const twice = index([entry(index([])), entry(index([]))]);
    await using double = await startServer((request, response) => {
      const isTop = request.url?.endsWith("/c");
      response.writeHead(200, { "content-type": type }).end(isTop ? twice : index([]));
    });
    await using doubleSource = await open(double);
    await expect(doubleSource.resolve()).rejects.toThrow(/leads back to itself/);
  });

  test("is not looked for where redirects go round", async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(302, { location: "/v2/again" }).end();
    });
    await using source = await open(server);
    await expect(source.resolve()).rejects.toThrow(/redirects without an end/);
    expect(server.seen).toHaveLength(6);
  });
});

test("a list without an end, or that goes on elsewhere, is refused", async () => {
  await using server = await startServer((request, response) => {
    const url = request.url?.includes("referrers") ? "http://elsewhere.example/x" : request.url;
    const body = request.url?.includes("referrers")
      ? { schemaVersion: 2, manifests: [] }
      : { tags: ["a"] };
    response.writeHead(200, { link: `<${url}>; rel="next"` }).end(JSON.stringify(body));
  });
  await using source = await open(server);
  await expect(source.listTags()).rejects.toThrow(/has no end/);
  await expect(source.listReferrers(image.digest)).rejects.toThrow(/continues a list at elsewhere/);
});

describe("an upload", () => {
  test("goes on where the registry says it has come to", async () => {
    const stored: Buffer[] = [];
    let patches = 0;
    await using server = await startServer(async (request, response) => {
      const location = "/v2/a/b/blobs/uploads/1?state=a%2Fb+c";
      const size = (): number => stored.reduce((sum, { length }) => sum + length, 0);
      if (request.method === "HEAD") response.writeHead(404).end();
      else if (request.method === "POST") {
        response.writeHead(202, { location, "oci-chunk-min-length": "300000" }).end();
      } else if (request.method === "PATCH") {
        patches += 1;
        const body = await collect(request);
        const [start] = (request.headers["content-range"] ?? "").split("-").map(Number);
        if (start !== size()) {
          response.writeHead(416, { location, range: `0-${size() - 1}` }).end();
          return;
        }
        // The second piece arrives half, and the connection breaks.
        stored.push(patches === 2 ? body.subarray(0, 123_456) : body);
        if (patches === 2) response.destroy();
        else response.writeHead(202, { location, range: `0-${size() - 1}` }).end();
      } else if (request.method === "GET") {
        response.writeHead(204, { location, range: `0-${size() - 1}` }).end();
      } else response.writeHead(201).end();
    });
    const options = { env, chunkBytes: 1_000, retryDelayMs: 1 };
    await using target = await openImageTarget(`${server.host}/a/b`, options);
    async function* content(): AsyncGenerator<Buffer> {
      yield image.layer;
    }
    expect(await target.writeBlob(layer, content)).toBe("written");
    expect(Buffer.concat(stored).equals(image.layer)).toBe(true);
    const put = server.seen.find(({ method }) => method === "PUT");
    expect(put?.path).toBe(
      `/v2/a/b/blobs/uploads/1?state=a%2Fb+c&digest=${encodeURIComponent(layer.digest)}`,
    );
  });

  test("that is too large for one request is sent in pieces", async () => {
    let received = 0;
    await using server = await startServer(async (request, response) => {
      const location = "/v2/a/b/blobs/uploads/1";
      for await (const chunk of request as AsyncIterable<Buffer>) {
        if (request.method === "PATCH") received += chunk.length;
      }
      const isWhole = request.method === "PUT" && Number(request.headers["content-length"]) > 0;
      if (request.method === "HEAD") response.writeHead(404).end();
      else if (isWhole) response.writeHead(413).end();
      else response.writeHead(request.method === "PUT" ? 201 : 202, { location }).end();
    });
    await using target = await openImageTarget(`${server.host}/a/b`, { env });
    async function* content(): AsyncGenerator<Buffer> {
      yield image.layer;
    }
    expect(await target.writeBlob(layer, content)).toBe("written");
    expect(received).toBe(layer.size);
  });

  test("to storage elsewhere goes without credentials", async () => {
    await using storage = await startServer(async (request, response) => {
      await collect(request);
      response.writeHead(201).end();
    });
    await using server = await startServer((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      } else if (request.method === "HEAD") response.writeHead(404).end();
      else response.writeHead(202, { location: `${storage.url}/put?signature=x` }).end();
    });
    await using target = await openImageTarget(`${server.host}/a/b`, { env, auth: secret });
    async function* content(): AsyncGenerator<Buffer> {
      yield image.layer;
    }
    await target.writeBlob(layer, content);
    expect(storage.seen).toHaveLength(1);
    expect(storage.seen[0]?.headers).not.toHaveProperty("authorization");
  });
});
