import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { dockerCredentials } from "../../src/registry/index.ts";
import { askCredentialHelper } from "../../src/registry/auth/credential-helper.ts";
import { parseChallenges } from "../../src/registry/auth/challenge.ts";
import { readAuthConfig } from "../../src/registry/auth/credentials.ts";
import { temporaryDirectory } from "./sample-image.ts";

interface Home extends AsyncDisposable {
  readonly env: NodeJS.ProcessEnv;
  readonly path: string;
  writeHelper(name: string, script: string): Promise<void>;
}

/** A place for a config of Docker and for credential helpers. */
async function home(config: object | string | undefined): Promise<Home> {
  const directory = await temporaryDirectory();
  const bin = join(directory.path, "bin");
  await mkdir(bin);
  if (config !== undefined) {
    const text = typeof config === "string" ? config : JSON.stringify(config);
    await writeFile(join(directory.path, "config.json"), text);
  }
  const PATH = `${bin}:${process.env["PATH"]}`;
  return {
    path: directory.path,
    env: { DOCKER_CONFIG: directory.path, PATH },
    async writeHelper(name, script) {
      const file = join(bin, `docker-credential-${name}`);
      await writeFile(file, `#!/bin/sh\n${script}\n`);
      await chmod(file, 0o755);
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

describe("the credentials of docker login", () => {
  test("are found by host, however the host is written", async () => {
    await using place = await home({
      auths: {
        "https://index.docker.io/v1/": { auth: "aHViOnB3" },
        "https://Registry.example:5000/v2/": { username: "u", password: "p" },
        "token.example": { identitytoken: "t" },
        "empty.example": {},
      },
    });
    const find = dockerCredentials({ env: place.env });
    expect(await find("docker.io")).toEqual({ auth: "aHViOnB3" });
    expect(await find("registry.example:5000")).toEqual({ username: "u", password: "p" });
    expect(await find("token.example")).toEqual({ identityToken: "t" });
    expect(await find("empty.example")).toBeUndefined();
    expect(await find("registry.example")).toBeUndefined();
  });

  test("are none when there is no config, and an error when it is broken", async () => {
    await using nothing = await home(undefined);
    expect(await dockerCredentials({ env: nothing.env })("docker.io")).toBeUndefined();
    for (const config of ['{"auths": s3cret', { auths: { x: { auth: 5 } } }, "[]"]) {
      await using place = await home(config);
      const error: unknown = await dockerCredentials({ env: place.env })("x").catch(
        (e: unknown) => e,
      );
      expect(error).toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
      expect(inspect(error)).not.toContain("s3cret");
    }
  });

  test("come from the host's helper first, then from the store, then from the file", async () => {
    await using place = await home({
      auths: { "file.example": { username: "file", password: "p" } },
      credHelpers: { "own.example": "own" },
      credsStore: "store",
    });
    await place.writeHelper(
      "own",
      `cat >"${place.path}/asked"; echo '{"Username":"own","Secret":"s"}'`,
    );
    await place.writeHelper(
      "store",
      `read host; case $host in
         https://index.docker.io/v1/) echo '{"ServerURL":"x","Username":"<token>","Secret":"tok"}';;
         *) echo 'credentials not found in native keychain'; exit 1;;
       esac`,
    );
    const find = dockerCredentials({ env: place.env });
    expect(await find("own.example")).toEqual({ username: "own", password: "s" });
    expect(await readFile(join(place.path, "asked"), "utf8")).toBe("own.example\n");
    expect(await find("docker.io")).toEqual({ identityToken: "tok" });
    expect(await find("file.example")).toEqual({ username: "file", password: "p" });
    expect(await find("other.example")).toBeUndefined();
  });
});

describe("a credential helper", () => {
  test.for([
    ["fails", "echo s3cret; echo s3cret >&2; exit 3"],
    ["does not answer with JSON", "echo s3cret"],
    ["answers with something else", `echo '{"Password":"s3cret"}'`],
    ["writes without an end", "yes s3cret"],
  ])("that %s is refused without showing what it wrote", async ([, script = ""]) => {
    await using place = await home({});
    await place.writeHelper("x", script);
    const error: unknown = await askCredentialHelper("x", "h", { env: place.env }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "REGISTRY_AUTH_FAILED" });
    expect(inspect(error)).not.toContain("s3cret");
  });

  test("that hangs is ended with its children", async () => {
    await using place = await home({});
    await place.writeHelper("x", `sleep 1000 & echo $! >"${place.path}/child"; wait`);
    const options = { env: place.env, timeoutMs: 300 };
    await expect(askCredentialHelper("x", "h", options)).rejects.toThrow(/did not answer in time/);
    const child = Number(await readFile(join(place.path, "child"), "utf8"));
    await expect.poll(() => isRunning(child)).toBe(false);

    const reason = new Error("enough");
    const controller = new AbortController();
    const asked = askCredentialHelper("x", "h", { env: place.env, signal: controller.signal });
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });

  test.for(["../x", "a/b", "", "-x", "a b", "a;b"])("named %j is not run", async (name) => {
    await expect(askCredentialHelper(name, "h")).rejects.toMatchObject({
      code: "REGISTRY_AUTH_FAILED",
    });
  });

  test("that is missing is an error", async () => {
    await expect(askCredentialHelper("is-not-here", "h")).rejects.toMatchObject({
      code: "REGISTRY_AUTH_FAILED",
    });
  });
});

test("an AuthConfig is only for its host", () => {
  const auth = { username: "u", password: "p" };
  const password = { kind: "password", ...auth };
  expect(readAuthConfig(auth, "any.example")).toEqual(password);
  const hub = { ...auth, serverAddress: "https://index.docker.io/v1/" };
  expect(readAuthConfig(hub, "docker.io")).toEqual(password);
  expect(readAuthConfig(hub, "evil.example")).toBeUndefined();
  expect(readAuthConfig({ ...auth, serverAddress: "a.example" }, "a.example:5000")).toBeUndefined();
  const encoded = Buffer.from("u:p:q").toString("base64");
  expect(readAuthConfig({ auth: encoded }, "x")).toEqual({ ...password, password: "p:q" });
  expect(() => readAuthConfig({ auth: "c2VjcmV0" }, "x")).toThrow(
    expect.objectContaining({
      code: "REGISTRY_AUTH_FAILED",
      message: expect.not.stringContaining("c2VjcmV0"),
    }),
  );
  expect(readAuthConfig({}, "x")).toBeUndefined();
});

describe("parseChallenges", () => {
  test("reads several challenges, quoted and plain", () => {
    const found = parseChallenges([
      'Bearer realm="https://auth.example/token?a=b",service="s, t",scope="repository:a/b:pull,push"',
      'Basic realm=x, bearer Realm="say \\"hi\\"" , error=invalid_token',
      "Negotiate",
    ]);
    expect(found.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])).toEqual(
      [
        [
          "bearer",
          {
            realm: "https://auth.example/token?a=b",
            service: "s, t",
            scope: "repository:a/b:pull,push",
          },
        ],
        ["basic", { realm: "x" }],
        ["bearer", { realm: 'say "hi"', error: "invalid_token" }],
        ["negotiate", {}],
      ],
    );
  });

  test.for([
    "",
    ",,,",
    '"',
    'Bearer realm="open',
    "=x",
    "Bearer ".repeat(5_000),
    "a=".repeat(9_000),
  ])("makes the best of nonsense", (header) => {
    const started = performance.now();
    for (const { parameters } of parseChallenges(header))
      expect(parameters.get("realm")).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(500);
  });
});

/** Whether a process does anything: one that ended may wait for its parent to notice. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    return !/^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
