import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server was sent. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

/** An HTTP server that answers as a test wants it to. */
export interface FakeServer extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
  readonly seen: readonly Seen[];
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Starts a server on a loopback port; what `answer` leaves open is closed at the end. */
export async function startServer(answer: Answer): Promise<FakeServer> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = "", url: path = "", headers } = request;
    seen.push({ method, path, headers });
    void Promise.resolve(answer(request, response)).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  return {
    host,
    url: `http://${host}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The contents of a small repository: what is under each tag or digest. */
export interface FakeImage {
  readonly layer: Buffer;
  readonly layerDigest: string;
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly digest: string;
}

/** An image of one layer for linux/amd64. */
export function fakeImage(layer: Buffer): FakeImage {
  const config = Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [sha256(layer)] },
    }),
  );
  const describe = (mediaType: string, bytes: Buffer): object => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: describe("application/vnd.oci.image.config.v1+json", config),
      layers: [describe("application/vnd.oci.image.layer.v1.tar", layer)],
    }),
  );
  return { layer, layerDigest: sha256(layer), config, manifest, digest: sha256(manifest) };
}

/** Answers like a registry that has one image, under every tag. */
export function serveImage(image: FakeImage): Answer {
  const blobs = new Map([
    [sha256(image.config), image.config],
    [image.layerDigest, image.layer],
  ]);
  return (request, response) => {
    const [kind, name = ""] = (request.url ?? "").split("/").slice(-2);
    if (kind === "manifests") return sendManifest(response, image.manifest);
    const blob = blobs.get(name);
    if (kind !== "blobs" || blob === undefined) return notFound(response);
    return sendBlob(request, response, blob);
  };
}

export function sendManifest(response: ServerResponse, bytes: Buffer | string): void {
  response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" });
  response.end(bytes);
}

export function notFound(response: ServerResponse): void {
  response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}');
}

/** A blob, or the part of it that is asked for. */
export function sendBlob(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (match === null) {
    response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    return;
  }
  const [start, end] = [Number(match[1]), Math.min(Number(match[2]), bytes.length - 1)];
  response.writeHead(206, {
    "content-length": end - start + 1,
    "content-range": `bytes ${start}-${end}/${bytes.length}`,
  });
  response.end(bytes.subarray(start, end + 1));
}
