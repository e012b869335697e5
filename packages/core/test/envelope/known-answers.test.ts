import { verify } from "node:crypto";
import { expect, it } from "vitest";
import { memoryReplayCache, signEnvelope, signJob, verifyEnvelope } from "../../src/index.ts";
import { signBytes, signedBytes } from "../../src/envelope/signature.ts";
import { bothKeys, ciKey, opsKey } from "./known-keys.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

// RFC 8032, section 7.1: the primitive, reached through our own key loading.
it.each([
  {
    name: "test 1",
    key: ciKey(),
    kid: "ci-1",
    message: "",
    signature:
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    name: "test 2",
    key: opsKey(),
    kid: "ops-1",
    message: "72",
    signature:
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
])("signs and verifies RFC 8032 $name", ({ key, kid, message, signature }) => {
  const bytes = Buffer.from(message, "hex");
  expect(Buffer.from(signBytes(bytes, key.privateKey), "base64url").toString("hex")).toBe(
    signature,
  );
  const publicKey = bothKeys().get(kid)?.publicKey;
  expect(publicKey && verify(null, bytes, publicKey, Buffer.from(signature, "hex"))).toBe(true);
});

const fixedText =
  '{"v":1,"alg":"Ed25519","kid":"ci-1","env":{"request_id":"req-1","sub":"service:ci","aud":"worker-a","iat_ms":1767225600000,"nonce":"AAECAwQFBgcICQoLDA0ODw","purpose":"rpc","payload":{"b":[1,2.5e-7,"é\u2028"],"a":null}},"sig":"v6ApIje27o2o6eeek4kRCycBoOJOCpkIfT8W2BPIwFoHX_HAsgQd-00Tx5werzExewprVmlWc7NOIaVXp_X9AA"}';

it("signs exactly these bytes for this envelope", () => {
  const envelope = signEnvelope(
    {
      purpose: "rpc",
      audience: "worker-a",
      payload: { b: [1, 2.5e-7, "é\u2028"], a: null },
      requestId: "req-1",
      nowMs,
      nonce: Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"),
    },
    ciKey(),
  );
  expect(signedBytes("rpc", envelope.env).toString()).toBe(
    'worker-envelope-v1:rpc:{"aud":"worker-a","iat_ms":1767225600000,"nonce":"AAECAwQFBgcICQoLDA0ODw","payload":{"a":null,"b":[1,2.5e-7,"é\u2028"]},"purpose":"rpc","request_id":"req-1","sub":"service:ci"}',
  );
  expect(JSON.stringify(envelope)).toBe(fixedText);
});

it("accepts that envelope, whatever its order and white space", async () => {
  const { v, alg, kid, env, sig } = JSON.parse(fixedText);
  const turned = JSON.stringify({ sig, env, kid, alg, v }, undefined, 2);
  for (const text of [fixedText, turned, Buffer.from(fixedText)]) {
    const verified = await verifyEnvelope(text, {
      keys: bothKeys(),
      replayCache: memoryReplayCache(),
      purpose: "rpc",
      audience: "worker-a",
      now: () => nowMs + 1_000,
    });
    expect(verified).toEqual({
      kid: "ci-1",
      subject: "service:ci",
      issuer: undefined,
      requestId: "req-1",
      issuedAtMs: nowMs,
      payload: { b: [1, 2.5e-7, "é\u2028"], a: null },
    });
  }
});

it("signs a job exactly so", () => {
  const signed = signJob(
    {
      version: "1.0",
      job_id: "job-1",
      created_at: "2026-01-01T00:00:00Z",
      operation: "system.echo",
      payload: { data: { z: 1, a: "é" } },
    },
    ciKey(),
  );
  expect(signed["signature"]).toEqual({
    algorithm: "ed25519",
    public_key_id: "ci-1",
    value: "-J1s-EbPzPRjiAsCBNYsJxYtPM4PCEAWwIm6en8PT72OOCT-pRXygKgamAqzBdBFftQClCb6QERY9riH6yd0Dg",
  });
});
