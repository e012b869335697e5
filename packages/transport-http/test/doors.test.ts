import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryJobStore, parseKeySet, parseSigningKey, type Policy } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  bearerTokens,
  checkDoors,
  clientCertificates,
  createToken,
  jsonAnswer,
  listTokens,
  revokeToken,
  serveWorkerApi,
  signedRequests,
  signRequest,
} from "../src/index.ts";
import { post, serveWorker, wireJob } from "./fixtures/served-worker.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-doors-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Lets subjects do what is listed, as `subject action object`. */
function listPolicy(...rules: readonly string[]): Policy {
  return {
    name: "list",
    check: async ({ subject, action, object }) => ({
      allowed: rules.includes(`${subject} ${action} ${object}`),
    }),
  };
}

describe("without authenticators", () => {
  it("no other host is served, unless that is said", async () => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.evil.com"]) {
      expect(() => {
        checkDoors({ host });
      }).toThrow(/to everybody/);
    }
    await expect(serveWorker({ host: "0.0.0.0" })).rejects.toMatchObject({ code: "CONFIG_ERROR" });
    await using open = await serveWorker({ host: "0.0.0.0", allowUnauthenticated: true });
    expect(open.baseUrl).toMatch(/^http:\/\/0\.0\.0\.0:/);
  });

  it("a page of a browser can neither send nor read, also by a name of its own", async () => {
    await using served = await serveWorker();
    const job = wireJob("page", "system.echo");
    const sent = await post(`${served.baseUrl}/jobs`, job, { origin: "https://evil.example" });
    expect(sent.status).toBe(403);
    const { port } = new URL(served.baseUrl);
    const status = await new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port, path: "/info", headers: { host: "evil.example" } };
      get(options, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on("error", reject);
    });
    expect(status).toBe(403);
  });

  it("a page that is let in may, and is told so", async () => {
    await using served = await serveWorker({ corsOrigins: ["https://console.example"] });
    const origin = { origin: "https://console.example" };
    const preflight = await fetch(`${served.baseUrl}/jobs`, { method: "OPTIONS", headers: origin });
    expect(preflight.headers.get("access-control-allow-origin")).toBe("https://console.example");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("last-event-id");
    expect(
      (await post(`${served.baseUrl}/jobs`, wireJob("p1", "system.echo"), origin)).status,
    ).toBe(202);
  });

  it("a store that keeps no events is refused", async () => {
    await using served = await serveWorker();
    await using store = memoryJobStore();
    const { worker } = served;
    const policy = listPolicy();
    await expect(serveWorkerApi({ worker, store, policy, port: 0 })).rejects.toMatchObject({
      code: "CONFIG_ERROR",
    });
  });
});

describe("bearer tokens", () => {
  it("are asked for by every route but probes and the description", async () => {
    const file = join(directory, "a.json");
    const { token } = await createToken(file, { subject: "token:ci" });
    await using served = await serveWorker({ authenticators: [bearerTokens(file)], admin: true });
    const openApi = (await (await fetch(`${served.baseUrl}/openapi.json`)).json()) as {
      readonly paths: Readonly<Record<string, Readonly<Record<string, { security: unknown[] }>>>>;
    };
    let asked = 0;
    for (const [path, methods] of Object.entries(openApi.paths)) {
      for (const [method, { security }] of Object.entries(methods)) {
        const url = `${served.baseUrl}${path.replaceAll(/\{\w+\}/g, "x")}`;
        const { status, headers } = await fetch(url, { method: method.toUpperCase() });
        if (security.length === 0) {
          expect(["/live", "/ready", "/openapi.json"]).toContain(path);
          continue;
        }
        expect(status, `${method} ${path}`).toBe(401);
        expect(headers.get("www-authenticate")).toContain("Bearer");
        asked += 1;
      }
    }
    expect(asked).toBeGreaterThan(15);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${served.baseUrl}/info`, { headers })).status).toBe(200);
    for (const wrong of [`Bearer ${token}x`, "Bearer lsh_a_b", "Basic YTpi", "Bearer"]) {
      const answer = await fetch(`${served.baseUrl}/info`, { headers: { authorization: wrong } });
      expect(answer.status, wrong).toBe(401);
    }
  });

  it("are nowhere but with whoever got them, and count until revoked or too old", async () => {
    const file = join(directory, "b.json");
    const made = await createToken(file, { subject: "token:ci" });
    const old = await createToken(file, { subject: "token:old", ttlMs: 1 });
    const text = await readFile(file, "utf8");
    expect(text).not.toContain(made.token.slice(-20));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await listTokens(file)).map(({ subject }) => subject)).toEqual([
      "token:ci",
      "token:old",
    ]);
    await using served = await serveWorker({ authenticators: [bearerTokens(file)] });
    const statusOf = async (token: string): Promise<number> =>
      (await fetch(`${served.baseUrl}/info`, { headers: { authorization: `Bearer ${token}` } }))
        .status;
    expect(await statusOf(made.token)).toBe(200);
    expect(await statusOf(old.token)).toBe(401);
    await revokeToken(file, made.id);
    expect(await statusOf(made.token)).toBe(401);
    await writeFile(`${file}.new`, "left by a command that died");
    await expect(revokeToken(file, old.id)).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await utimes(`${file}.new`, 1, 1);
    await revokeToken(file, old.id);
    await writeFile(file, "{}");
    expect(await statusOf(made.token)).toBe(401);
    await expect(createToken(file, { subject: "token:x" })).rejects.toMatchObject({
      code: "CONFIG_ERROR",
    });
    await expect(createToken(join(directory, "c.json"), { subject: "x y" })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it("speak for a subject, of whom the policy is asked at each step", async () => {
    const file = join(directory, "d.json");
    const submitter = await createToken(file, { subject: "token:submitter" });
    const reader = await createToken(file, { subject: "token:reader" });
    const policy = listPolicy(
      "token:submitter execute job:default/system.echo",
      "token:reader query job:default/system.echo",
      "token:reader query worker:w1",
    );
    await using served = await serveWorker({ policy, authenticators: [bearerTokens(file)] });
    const as = ({ token }: { readonly token: string }) => ({ authorization: `Bearer ${token}` });
    const job = wireJob("d1", "system.echo");
    const url = `${served.baseUrl}/jobs`;
    expect((await post(url, job, as(reader))).status).toBe(403);
    expect((await post(url, job, as(submitter))).status).toBe(202);
    expect((await post(url, wireJob("d2", "test.failing"), as(submitter))).status).toBe(403);
    const read = async (path: string, who: { readonly token: string }) =>
      fetch(`${served.baseUrl}${path}`, { headers: as(who) });
    expect((await read("/jobs/d1/result?wait=30s", reader)).status).toBe(200);
    for (const path of ["", "/result", "/logs", "/events", "/artifacts", "/artifacts/a"]) {
      expect((await read(`/jobs/d1${path}`, submitter)).status, path).toBe(403);
    }
    expect((await read("/info", submitter)).status).toBe(403);
    expect((await read("/info", reader)).status).toBe(200);
    expect(await (await read("/jobs", submitter)).json()).toEqual({ jobs: [] });
    expect(await (await read("/jobs", reader)).json()).toMatchObject({ jobs: [{ job_id: "d1" }] });
    expect((await post(`${url}/d1/cancel`, {}, as(reader))).status).toBe(403);
    expect((await post(`${url}/d1/retry`, {}, as(reader))).status).toBe(403);
  });
});

describe("signed requests", () => {
  it("count once, for their own method, path and body", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const key = parseSigningKey({
      ...privateKey.export({ format: "jwk" }),
      kid: "k1",
      sub: "service:ci",
    });
    const keys = parseKeySet({
      keys: [
        { ...publicKey.export({ format: "jwk" }), kid: "k1", sub: "service:ci", purposes: ["rpc"] },
      ],
    });
    const policy = listPolicy("service:ci execute job:default/system.echo");
    await using served = await serveWorker({
      policy,
      authenticators: [signedRequests({ keys, audience: "w1" })],
    });
    const body = JSON.stringify(wireJob("s1", "system.echo"));
    const send = (headers: Readonly<Record<string, string>>, text = body) =>
      fetch(`${served.baseUrl}/jobs`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: text,
      });
    const sign = (audience = "w1", target = "/jobs") =>
      signRequest({ audience, method: "POST", target, body }, key);
    const headers = sign();
    expect((await send(headers, body.replace("s1", "s2"))).status).toBe(401);
    expect((await send(sign("w2"))).status).toBe(401);
    expect((await send(sign("w1", "/jobs:batch"))).status).toBe(401);
    expect((await send({ "x-longshore-envelope": "bm9uZQ" })).status).toBe(401);
    expect((await send(headers)).status).toBe(202);
    const again = await send(headers);
    expect(again.status).toBe(401);
    expect(await again.json()).toMatchObject({ error: { code: "REPLAY_DETECTED" } });
  });
});

describe("client certificates", () => {
  it("make a peer of whoever has one of the trusted authority", async () => {
    const pem = makeCertificates(directory);
    const policy = listPolicy("peer:alice query worker:w1");
    await using served = await serveWorker({
      policy,
      authenticators: [clientCertificates()],
      tls: { cert: pem.serverCert, key: pem.serverKey, clientCa: pem.ca },
    });
    expect(served.baseUrl).toMatch(/^https:/);
    const statusWith = (client: { readonly cert?: string; readonly key?: string }) =>
      new Promise((resolve, reject) => {
        request(`${served.baseUrl}/info`, { ...client, ca: pem.ca, agent: false }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
          .on("error", reject)
          .end();
      });
    expect(await statusWith({ cert: pem.aliceCert, key: pem.aliceKey })).toBe(200);
    expect(await statusWith({ cert: pem.strangerCert, key: pem.strangerKey })).toBe(401);
    expect(await statusWith({})).toBe(401);
    await expect(serveWorker({ authenticators: [clientCertificates()] })).rejects.toMatchObject({
      code: "CONFIG_ERROR",
    });
  });
});

describe("routes of others", () => {
  const description = {
    operationId: "hello",
    summary: "Hello",
    tag: "hello",
    responses: { "200": { description: "Hello" } },
  };

  it("are served beside the worker's own; one that forgets the policy answers nothing", async () => {
    await using served = await serveWorker({
      routes: [
        {
          method: "GET",
          path: "/hello/{name}",
          access: "route",
          description,
          async handle({ params, authorize }) {
            await authorize(`greeting:${params["name"]}`, "query");
            return jsonAnswer(200, params);
          },
        },
        {
          method: "GET",
          path: "/careless",
          access: "route",
          description: { ...description, operationId: "careless" },
          handle: () => jsonAnswer(200, "secret"),
        },
        {
          method: "GET",
          path: "/broken",
          access: "public",
          description: { ...description, operationId: "broken" },
          handle() {
            throw new Error("the password is hunter2");
          },
        },
      ],
    });
    expect(await (await fetch(`${served.baseUrl}/api/v1/hello/a%20b`)).json()).toEqual({
      name: "a b",
    });
    for (const path of ["/careless", "/broken"]) {
      const answer = await fetch(`${served.baseUrl}${path}`);
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toMatch(/secret|hunter2|\.ts/);
    }
    await expect(
      serveWorker({
        routes: [
          {
            method: "GET",
            path: "/info",
            access: "public",
            description,
            handle: () => jsonAnswer(200, 1),
          },
        ],
      }),
    ).rejects.toThrow(/two routes/);
  });
});

/** An authority, a server for 127.0.0.1, a client, and a client of another authority. */
function makeCertificates(folder: string) {
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  };
  const authority = (name: string): void => {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.crt`,
    );
  };
  const signed = (name: string, by: string): void => {
    openssl(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
    );
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      `${by}.crt`,
      "-CAkey",
      `${by}.key`,
      "-CAcreateserial",
      "-days",
      "2",
      "-copy_extensions",
      "copy",
      "-out",
      `${name}.crt`,
    );
  };
  authority("ca");
  authority("other");
  signed("server", "ca");
  signed("alice", "ca");
  signed("stranger", "other");
  const read = (file: string): string => execFileSync("cat", [join(folder, file)]).toString();
  return {
    ca: read("ca.crt"),
    serverCert: read("server.crt"),
    serverKey: read("server.key"),
    aliceCert: read("alice.crt"),
    aliceKey: read("alice.key"),
    strangerCert: read("stranger.crt"),
    strangerKey: read("stranger.key"),
  };
}
