import { execFile } from "node:child_process";
import { createSign, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { collect } from "./collect.ts";

export interface KeyPair {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A self-signed certificate for 127.0.0.1 and localhost, made by openssl. */
export async function selfSignedCertificate(directory: string): Promise<KeyPair> {
  const keyFile = join(directory, "key.pem");
  const certificateFile = join(directory, "certificate.pem");
  await promisify(execFile)("openssl", [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=IP:127.0.0.1,DNS:localhost",
    "-keyout",
    keyFile,
    "-out",
    certificateFile,
  ]);
  return { keyFile, certificateFile };
}

/** What a token server was asked. */
interface TokenQuestion {
  readonly method: string;
  readonly scopes: readonly string[];
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly questions: readonly TokenQuestion[];
}

export interface TokenServerOptions {
  readonly keys: KeyPair;
  readonly username: string;
  readonly password: string;
  /** Refuse GET, as servers do that only know OAuth 2 */
  readonly postOnly?: boolean;
  /** Seconds; tokens are good for an hour whatever is said here */
  readonly expiresIn?: number;
}

/** Gives tokens for Debian's docker-registry to one user; everyone may read repositories below `public/`. */
export async function startTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const key = await readFile(options.keys.keyFile, "utf8");
  const certificate = await readFile(options.keys.certificateFile, "utf8");
  const x5c = [certificate.replaceAll(/-----[^-]+-----|\s/g, "")];
  const service = "longshore-test";
  const issuer = "longshore-issuer";
  const questions: TokenQuestion[] = [];

  function sign(access: readonly object[]): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: "someone",
      aud: service,
      jti: randomUUID(),
      access,
      exp: now + 3_600,
      nbf: now - 60,
      iat: now,
    };
    const head = [{ typ: "JWT", alg: "RS256", x5c }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${head}.${createSign("RSA-SHA256").update(head).sign(key).toString("base64url")}`;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const form = new URLSearchParams(
      request.method === "POST" ? (await collect(request)).toString("utf8") : "",
    );
    const scopes =
      request.method === "POST"
        ? (form.get("scope") ?? "").split(" ")
        : url.searchParams.getAll("scope");
    const { authorization } = request.headers;
    questions.push({ method: request.method ?? "", scopes, authorization, form });
    if (options.postOnly && request.method !== "POST") {
      response.writeHead(405).end();
      return;
    }
    const basic = Buffer.from((authorization ?? "").replace(/^Basic /, ""), "base64").toString();
    const isUser =
      basic === `${options.username}:${options.password}` ||
      (form.get("grant_type") === "password" &&
        form.get("username") === options.username &&
        form.get("password") === options.password) ||
      form.get("refresh_token") === "an-identity-token";
    if (!isUser && (authorization !== undefined || request.method === "POST")) {
      response.writeHead(401).end();
      return;
    }
    const access = scopes.map((scope) => {
      const [type = "", name = "", actions = ""] = scope.split(":");
      const allowed = isUser ? actions.split(",") : name.startsWith("public/") ? ["pull"] : [];
      return { type, name, actions: allowed };
    });
    const { expiresIn } = options;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ token: sign(access), expires_in: expiresIn ?? 300 }));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    realm: `http://127.0.0.1:${port}/token`,
    service,
    issuer,
    questions,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
