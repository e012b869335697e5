import { generateKeyPairSync } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadKeySet, loadSigningKey, parseKeySet, parseSigningKey } from "../../src/index.ts";
import { publicJwk, rfc8032 } from "./known-keys.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-keys-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const isConfigError = expect.objectContaining({ code: "CONFIG_ERROR" });
const privateJwk = { ...publicJwk(), d: rfc8032.test1.d };

it.each<[string, unknown]>([
  ["no set at all", {}],
  ["an empty set", { keys: [] }],
  ["a private key", { keys: [privateJwk] }],
  ["two keys of one name", { keys: [publicJwk(), publicJwk({ x: rfc8032.test2.x })] }],
  ["another curve", { keys: [publicJwk({ crv: "X25519" })] }],
  ["another kind of key", { keys: [publicJwk({ kty: "RSA" })] }],
  ["another algorithm", { keys: [publicJwk({ alg: "HS256" })] }],
  ["a key that speaks for nobody", { keys: [publicJwk({ sub: undefined })] }],
  ["a key without a name", { keys: [publicJwk({ kid: "" })] }],
  ["a purpose that does not exist", { keys: [publicJwk({ purposes: ["anything"] })] }],
  ["a key for no purpose", { keys: [publicJwk({ purposes: [] })] }],
  ["half a key", { keys: [publicJwk({ x: rfc8032.test1.x.slice(0, 20) })] }],
  ["a padded key", { keys: [publicJwk({ x: `${rfc8032.test1.x}=` })] }],
])("refuses %s", (_what, json) => {
  expect(() => parseKeySet(json)).toThrow(isConfigError);
});

it("reads a set from a file", async () => {
  const path = join(directory, "keys.json");
  await writeFile(path, JSON.stringify({ keys: [publicJwk({ use: "sig", exp: 10 })] }));
  const keys = await loadKeySet(path);
  expect(keys.get("ci-1")).toMatchObject({ subject: "service:ci", notAfterMs: 10_000 });
  expect(keys.get("ci-2")).toBeUndefined();
  expect(keys.get("__proto__")).toBeUndefined();
});

it.each(["missing.json", "broken.json"])("says that it cannot read %s", async (name) => {
  await writeFile(join(directory, "broken.json"), "{");
  await expect(loadKeySet(join(directory, name))).rejects.toEqual(isConfigError);
});

it("rejects with the abort reason when aborted before", async () => {
  const reason = new Error("not now");
  const signal = AbortSignal.abort(reason);
  await expect(loadKeySet(join(directory, "any"), { signal })).rejects.toBe(reason);
  await expect(loadSigningKey(join(directory, "any"), { signal })).rejects.toBe(reason);
});

it("reads a signing key that node:crypto made, from a file of its owner's", async () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const path = join(directory, "key.json");
  const jwk = { ...privateKey.export({ format: "jwk" }), kid: "new-1", sub: "service:new" };
  await writeFile(path, JSON.stringify(jwk), { mode: 0o600 });
  const key = await loadSigningKey(path);
  expect(key).toMatchObject({ kid: "new-1", subject: "service:new" });
  expect(key.privateKey.equals(privateKey)).toBe(true);
});

it("refuses a signing key that others may read", async () => {
  const path = join(directory, "key.json");
  await writeFile(path, JSON.stringify(privateJwk));
  await chmod(path, 0o640);
  await expect(loadSigningKey(path)).rejects.toThrow("chmod 600");
});

it.each<[string, unknown]>([
  ["a public key", publicJwk()],
  ["halves that do not belong together", { ...privateJwk, x: rfc8032.test2.x }],
  ["half a secret", { ...privateJwk, d: rfc8032.test1.d.slice(4) }],
  ["no subject", { ...privateJwk, sub: undefined }],
])("refuses %s as a signing key, without showing it", (_what, json) => {
  let message = "";
  try {
    parseSigningKey(json);
  } catch (error) {
    expect(error).toEqual(isConfigError);
    message = String(error);
  }
  expect(message).toContain("The signing key is not usable");
  expect(message).not.toContain(rfc8032.test1.d.slice(4));
});

it("does not show a signing key whose file is broken", async () => {
  const path = join(directory, "key.json");
  await writeFile(path, `${JSON.stringify(privateJwk)}}`, { mode: 0o600 });
  const error: unknown = await loadSigningKey(path).catch((thrown: unknown) => thrown);
  expect(error).toEqual(isConfigError);
  expect(JSON.stringify(error) + String(error)).not.toContain(rfc8032.test1.d);
  expect(error).toMatchObject({ cause: undefined });
});
