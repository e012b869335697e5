import { describe, expect, it } from "vitest";
import {
  memoryReplayCache,
  signEnvelope,
  signJob,
  verifyEnvelope,
  type EnvelopeInput,
  type KeySet,
  type ReplayCache,
  type SignedEnvelope,
  type SigningKey,
  type VerifiedEnvelope,
  type VerifyOptions,
} from "../../src/index.ts";
import { signBytes, signedBytes } from "../../src/envelope/signature.ts";
import { bothKeys, ciKey, opsKey } from "./known-keys.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

function signed(input: Partial<EnvelopeInput> = {}, key: SigningKey = ciKey()): SignedEnvelope {
  return signEnvelope(
    {
      purpose: "rpc",
      audience: "worker-a",
      nowMs,
      ...(input.detachedPayload === undefined && { payload: { call: "status" } }),
      ...input,
    },
    key,
  );
}

/** What a reader is given that its test does not care about. */
function read(
  message: SignedEnvelope | string | Uint8Array,
  options: Partial<VerifyOptions> = {},
): Promise<VerifiedEnvelope> {
  const isText = typeof message === "string" || message instanceof Uint8Array;
  return verifyEnvelope(isText ? message : JSON.stringify(message), {
    keys: bothKeys(),
    replayCache: memoryReplayCache(),
    purpose: "rpc",
    audience: "worker-a",
    now: () => nowMs,
    ...options,
  });
}

function refused(code: string, reason: string): unknown {
  return expect.objectContaining({ code, details: { reason } });
}

/** An envelope that says what it likes, with a true signature over it. */
function forged(env: object, key: SigningKey = ciKey()): string {
  const purpose = "purpose" in env ? env.purpose : "rpc";
  const sig = signBytes(signedBytes(purpose as "rpc", env), key.privateKey);
  return JSON.stringify({ v: 1, alg: "Ed25519", kid: key.kid, env, sig });
}

it("gives back what was signed, and by whom", async () => {
  expect(await read(signed({ requestId: "r1", issuer: "gateway" }))).toEqual({
    kid: "ci-1",
    subject: "service:ci",
    issuer: "gateway",
    requestId: "r1",
    issuedAtMs: nowMs,
    payload: { call: "status" },
  });
});

it("covers a payload that travels beside it", async () => {
  const detachedPayload = Buffer.from("some bytes");
  const envelope = signed({ detachedPayload });
  expect(await read(envelope, { detachedPayload })).toMatchObject({ payload: undefined });
  for (const other of [undefined, Buffer.from("other bytes")]) {
    await expect(read(envelope, { detachedPayload: other })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "payload_mismatch"),
    );
  }
  await expect(read(signed(), { detachedPayload })).rejects.toEqual(
    refused("SIGNATURE_INVALID", "payload_mismatch"),
  );
});

it("signs nothing that is not one payload of JSON", () => {
  expect(() => signed({ payload: undefined })).toThrow(TypeError);
  expect(() => signed({ payload: { at: new Date() } })).toThrow(
    expect.objectContaining({ code: "SERIALIZATION_ERROR" }),
  );
  expect(() => signed({ nonce: Buffer.alloc(15) })).toThrow(RangeError);
});

describe("tampering", () => {
  const changes: Readonly<Record<string, unknown>> = {
    request_id: "other",
    iss: "somebody",
    sub: "service:ops",
    aud: "worker-b",
    iat_ms: nowMs + 1,
    exp_ms: nowMs + 9_999,
    nonce: Buffer.alloc(16, 7).toString("base64url"),
    purpose: "job",
    payload: { call: "shutdown" },
  };
  it.each(Object.keys(changes))("with %s breaks the signature", async (field) => {
    const envelope = signed();
    const env = { ...envelope.env, [field]: changes[field] };
    await expect(read(JSON.stringify({ ...envelope, env }))).rejects.toEqual(
      refused("SIGNATURE_INVALID", "bad_signature"),
    );
  });

  it("with any bit of the signature breaks it", async () => {
    const envelope = signed();
    const sig = Buffer.from(envelope.sig, "base64url");
    for (let bit = 0; bit < 512; bit += 37) {
      const changed = Buffer.from(sig);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(read({ ...envelope, sig: changed.toString("base64url") })).rejects.toEqual(
        refused("SIGNATURE_INVALID", "bad_signature"),
      );
    }
  });

  it("with the spelling of the signature is not accepted either", async () => {
    const envelope = signed();
    // The last character holds four bits that mean nothing.
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(envelope.sig.at(-1) ?? "");
    const respelled = envelope.sig.slice(0, -1) + (alphabet[last ^ 1] ?? "");
    expect(Buffer.from(respelled, "base64url")).toEqual(Buffer.from(envelope.sig, "base64url"));
    await expect(read({ ...envelope, sig: respelled })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "bad_signature"),
    );
  });

  it("with the key's name points to a key that did not sign", async () => {
    await expect(read({ ...signed(), kid: "ops-1" })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "bad_signature"),
    );
  });
});

describe("form", () => {
  const { env, ...outer } = signed();
  it.each<[string, string]>([
    ["no JSON", "not json"],
    ["no object", "[]"],
    ["another version", JSON.stringify({ ...outer, env, v: 2 })],
    ["another algorithm", JSON.stringify({ ...outer, env, alg: "none" })],
    ["something unsigned beside it", JSON.stringify({ ...outer, env, extra: 1 })],
    ["something unknown in it", forged({ ...env, role: "admin" })],
    ["two payloads", forged({ ...env, payload_sha256: "0".repeat(64) })],
    ["no payload", JSON.stringify({ ...outer, env: { ...env, payload: undefined } })],
    ["a short nonce", forged({ ...env, nonce: "AAAA" })],
    ["a nonce with stray bits", forged({ ...env, nonce: `${"A".repeat(21)}B` })],
    ["no signature", JSON.stringify({ ...outer, env, sig: "" })],
    ["a member named twice", JSON.stringify({ ...outer, env }).replace('{"v":1', '{"v":1,"v":1')],
    [
      "a payload that names a member twice, once in escapes",
      JSON.stringify({ ...outer, env }).replace('{"call"', '{"\\u0063all":"shutdown","call"'),
    ],
  ])("refuses %s", async (_what, text) => {
    await expect(read(text)).rejects.toEqual(refused("INVALID_BODY", "malformed"));
  });

  it("refuses bytes that are not UTF-8, or begin with a mark", async () => {
    const bytes = Buffer.from(JSON.stringify(signed()));
    for (const bad of [
      Buffer.concat([bytes.subarray(0, -1), Buffer.from([0xff, 0x7d])]),
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
    ]) {
      await expect(read(bad)).rejects.toEqual(refused("INVALID_BODY", "malformed"));
    }
  });

  it("refuses a message that is too large before it reads it", async () => {
    await expect(read("x".repeat(101), { maxBytes: 100 })).rejects.toEqual(
      refused("INVALID_BODY", "too_large"),
    );
  });

  it("refuses text that cannot be written as bytes", async () => {
    const text = JSON.stringify(signed()).replace('"status"', String.raw`"\ud800"`);
    await expect(read(text)).rejects.toEqual(refused("SIGNATURE_INVALID", "bad_signature"));
  });

  it("refuses a payload nested without end, quickly", async () => {
    const deep = "[".repeat(100_000) + "]".repeat(100_000);
    const text = JSON.stringify(signed()).replace('{"call":"status"}', deep);
    await expect(read(text)).rejects.toEqual(refused("SIGNATURE_INVALID", "bad_signature"));
  });
});

describe("keys", () => {
  it("refuses a key that is not known", async () => {
    const keys: KeySet = { get: () => undefined };
    await expect(read(signed(), { keys })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "unknown_key"),
    );
  });

  it("refuses a key that was revoked, and still takes others", async () => {
    const keys = bothKeys({ revoked: true });
    await expect(read(signed(), { keys })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "revoked_key"),
    );
    expect(await read(signed({}, opsKey()), { keys })).toMatchObject({ subject: "service:ops" });
  });

  it.each([
    ["before it begins", { nbf: nowMs / 1_000 + 1 }],
    ["once it has ended", { exp: nowMs / 1_000 }],
  ])("refuses a key %s", async (_when, times) => {
    await expect(read(signed(), { keys: bothKeys(times) })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "key_not_valid_now"),
    );
  });

  it("refuses a key for a purpose that it is not meant for", async () => {
    const keys = bothKeys({ purposes: ["result", "event"] });
    await expect(read(signed(), { keys })).rejects.toEqual(
      refused("SIGNER_MISMATCH", "purpose_not_allowed"),
    );
    expect(await read(signed({ purpose: "event" }), { keys, purpose: "event" })).toBeDefined();
  });

  it("refuses a signer that speaks for somebody else", async () => {
    const env = { ...signed().env, sub: "service:ops" };
    await expect(read(forged(env))).rejects.toEqual(refused("SIGNER_MISMATCH", "wrong_subject"));
  });

  it("takes old and new keys at once while they are rotated", async () => {
    const replayCache = memoryReplayCache();
    expect(await read(signed(), { replayCache })).toMatchObject({ kid: "ci-1" });
    expect(await read(signed({}, opsKey()), { replayCache })).toMatchObject({ kid: "ops-1" });
  });
});

describe("purpose, audience and time", () => {
  it("refuses a message that was made for another purpose", async () => {
    await expect(read(signed({ purpose: "heartbeat" }))).rejects.toEqual(
      refused("SIGNATURE_INVALID", "wrong_purpose"),
    );
  });

  it("refuses a message for somebody else", async () => {
    await expect(read(signed({ audience: "worker-b" }))).rejects.toEqual(
      refused("SIGNATURE_INVALID", "wrong_audience"),
    );
  });

  it("refuses a signed job that is passed off as a message", async () => {
    const { env, ...outer } = signed({ purpose: "job" });
    const job = signJob({ ...env, job_id: "j1", created_at: "2026-01-01T00:00:00Z" }, ciKey());
    const { signature, ...document } = job;
    const { value } = signature as { value: string };
    await expect(
      read(JSON.stringify({ ...outer, env: document, sig: value }), { purpose: "job" }),
    ).rejects.toEqual(refused("INVALID_BODY", "malformed"));
    await expect(
      read(JSON.stringify({ ...outer, env, sig: value }), { purpose: "job" }),
    ).rejects.toEqual(refused("SIGNATURE_INVALID", "bad_signature"));
  });

  it.each([
    ["just in time", 300_000, undefined],
    ["a millisecond late", 300_001, "expired"],
    ["from a clock that is a little ahead", -30_000, undefined],
    ["from the future", -30_001, "from_the_future"],
  ])("reads a message %s", async (_when, passedMs, reason) => {
    const reading = read(signed(), { now: () => nowMs + passedMs });
    if (reason === undefined) expect(await reading).toBeDefined();
    else await expect(reading).rejects.toEqual(refused("REQUEST_EXPIRED", reason));
  });

  it("refuses a message after the end that it names", async () => {
    const envelope = signed({ expiresAtMs: nowMs + 5_000 });
    expect(await read(envelope, { now: () => nowMs + 5_000 })).toBeDefined();
    await expect(read(envelope, { now: () => nowMs + 5_001 })).rejects.toEqual(
      refused("REQUEST_EXPIRED", "expired"),
    );
  });
});

describe("replay", () => {
  it("refuses a message the second time", async () => {
    const replayCache = memoryReplayCache();
    const envelope = signed();
    await read(envelope, { replayCache });
    await expect(read(envelope, { replayCache })).rejects.toEqual(
      refused("REPLAY_DETECTED", "replayed"),
    );
  });

  it("lets only one of many simultaneous copies through", async () => {
    const replayCache = memoryReplayCache();
    const envelope = signed();
    const readings = await Promise.allSettled(
      Array.from({ length: 20 }, () => read(envelope, { replayCache })),
    );
    expect(readings.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("refuses a message until the last moment at which it would count", async () => {
    const replayCache = memoryReplayCache();
    const envelope = signed();
    await read(envelope, { replayCache, now: () => nowMs - 30_000 });
    await expect(read(envelope, { replayCache, now: () => nowMs + 300_000 })).rejects.toEqual(
      refused("REPLAY_DETECTED", "replayed"),
    );
    await expect(read(envelope, { replayCache, now: () => nowMs + 300_001 })).rejects.toEqual(
      refused("REQUEST_EXPIRED", "expired"),
    );
  });

  it("forgets nothing under pressure: a full cache refuses what is new, and replays still", async () => {
    const replayCache = memoryReplayCache({ capacityPerKey: 50 });
    const first = signed();
    await read(first, { replayCache });
    for (let number = 1; number < 50; number += 1) await read(signed(), { replayCache });
    for (let number = 0; number < 100; number += 1) {
      await expect(read(signed(), { replayCache })).rejects.toEqual(
        refused("QUEUE_FULL", "replay_cache_full"),
      );
    }
    await expect(read(first, { replayCache })).rejects.toEqual(
      refused("REPLAY_DETECTED", "replayed"),
    );
    expect(await read(signed({}, opsKey()), { replayCache })).toBeDefined();
  });

  it("F28: a bad signature does not use up a nonce", async () => {
    const uses: unknown[] = [];
    const memory = memoryReplayCache();
    const replayCache: ReplayCache = {
      remember(use) {
        uses.push(use);
        return memory.remember(use);
      },
    };
    const envelope = signed();
    const spoiled = { ...envelope, sig: signed().sig };
    await expect(read(spoiled, { replayCache })).rejects.toEqual(
      refused("SIGNATURE_INVALID", "bad_signature"),
    );
    expect(uses).toEqual([]);
    expect(await read(envelope, { replayCache })).toBeDefined();
  });

  it.each<[string, Partial<VerifyOptions>]>([
    ["another audience", { audience: "worker-b" }],
    ["another purpose", { purpose: "job" }],
    ["a wrong payload", { detachedPayload: Buffer.from("x") }],
    ["a reader whose clock is wrong", { now: () => nowMs + 1e9 }],
  ])("a message that %s refuses can still be read by the right one", async (_who, options) => {
    const replayCache = memoryReplayCache();
    const envelope = signed();
    await expect(read(envelope, { replayCache, ...options })).rejects.toBeInstanceOf(Error);
    expect(await read(envelope, { replayCache })).toBeDefined();
  });

  it("fails closed when the cache cannot tell", async () => {
    const down = new Error("the cache is down");
    const failing: ReplayCache = { remember: () => Promise.reject(down) };
    await expect(read(signed(), { replayCache: failing })).rejects.toBe(down);
    const odd = { remember: () => undefined } as unknown as ReplayCache;
    await expect(read(signed(), { replayCache: odd })).rejects.toEqual(
      refused("REPLAY_DETECTED", "replayed"),
    );
  });
});
