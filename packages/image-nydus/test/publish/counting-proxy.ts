import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";

/** One answer that went through. */
interface CountedAnswer {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
}

/** Passes requests on to a registry and counts the bytes of its answers. */
export interface CountingProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Answers so far, those without a body included */
  readonly answers: readonly CountedAnswer[];
  /** Bytes of the answers for a blob. @param digest `sha256:…`; absent: of all */
  bytes(digest?: string): number;
}

export async function countingProxy(registryPort: number): Promise<CountingProxy> {
  const answers: { method: string; path: string; status: number; bytes: number }[] = [];
  const server = createServer((request, response) => {
    const { method = "GET", url: path = "/", headers } = request;
    const upstream = httpRequest(
      { host: "127.0.0.1", port: registryPort, method, path, headers },
      (answer) => {
        const counted = { method, path, status: answer.statusCode ?? 0, bytes: 0 };
        answers.push(counted);
        response.writeHead(counted.status, answer.rawHeaders);
        answer.on("data", (chunk: Buffer) => {
          counted.bytes += chunk.length;
        });
        answer.pipe(response);
        answer.once("error", () => response.destroy());
      },
    );
    upstream.once("error", () => response.destroy());
    request.pipe(upstream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    bytes: (digest = "") =>
      answers
        .filter(({ path }) => path.includes(digest))
        .reduce((sum, { bytes }) => sum + bytes, 0),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
