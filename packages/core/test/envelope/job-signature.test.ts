import { describe, expect, it } from "vitest";
import {
  allowAllPolicy,
  createJobDocument,
  echoHandler,
  encodeJobDocument,
  jobSignatureVerifier,
  memoryQueue,
  memoryTransport,
  parseJobDocument,
  signJob,
  startWorker,
  verifyJobSignature,
  type JobDocument,
  type Policy,
  type WireDocument,
} from "../../src/index.ts";
import { bothKeys, ciKey, opsKey } from "./known-keys.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

const wire: WireDocument = {
  version: "1.0",
  job_id: "job-1",
  created_at: "2026-01-01T00:00:00Z",
  operation: "system.echo",
  payload: { data: { text: "hello" } },
  made_by: "a client of ours",
};

const options = { keys: bothKeys(), now: () => nowMs };

function refused(code: string, reason: string): unknown {
  return expect.objectContaining({ code, details: { reason } });
}

function refusal(document: WireDocument, more: Partial<typeof options> = {}): unknown {
  try {
    return verifyJobSignature(document, { ...options, ...more });
  } catch (error) {
    return error;
  }
}

it("names the signer of a signed job", () => {
  expect(verifyJobSignature(signJob(wire, ciKey()), options)).toEqual({
    kid: "ci-1",
    subject: "service:ci",
  });
});

it("holds for the document as it came in, after JSON and in any order", () => {
  const text = JSON.stringify(signJob(wire, ciKey()), undefined, 2);
  const { wire: received } = parseJobDocument(text, { contentType: "application/json" });
  const turned = Object.fromEntries(Object.entries(received).toReversed());
  expect(verifyJobSignature(turned, options)).toMatchObject({ kid: "ci-1" });
});

it("replaces a signature that is there already", () => {
  const twice = signJob(signJob(wire, ciKey()), opsKey());
  expect(verifyJobSignature(twice, options)).toMatchObject({ subject: "service:ops" });
});

it.each<[string, WireDocument]>([
  ["another operation", { operation: "process.run" }],
  ["another id", { job_id: "job-2" }],
  ["another payload", { payload: { data: { text: "bye" } } }],
  ["a runtime", { runtime: { mode: "process", cmd: ["sh"] } }],
  ["a field that nobody knows", { extra: true }],
  ["a default that is filled in", { kind: "Job" }],
])("does not hold once the job has %s", (_what, change) => {
  expect(refusal({ ...signJob(wire, ciKey()), ...change })).toEqual(
    refused("SIGNATURE_INVALID", "bad_signature"),
  );
});

it("does not hold once a field is gone", () => {
  const { made_by: _gone, ...rest } = signJob(wire, ciKey());
  expect(refusal(rest)).toEqual(refused("SIGNATURE_INVALID", "bad_signature"));
});

it.each<[string, unknown]>([
  ["none", undefined],
  ["a text", "signed, honestly"],
  ["another algorithm", { algorithm: "none", public_key_id: "ci-1", value: "A".repeat(86) }],
  ["an empty value", { algorithm: "ed25519", public_key_id: "ci-1", value: "" }],
  ["zeros", { algorithm: "ed25519", public_key_id: "ci-1", value: "A".repeat(86) }],
])("refuses as a signature: %s", (_what, signature) => {
  expect(refusal({ ...wire, ...(signature !== undefined && { signature }) })).toEqual(
    refused("SIGNATURE_INVALID", "bad_signature"),
  );
});

it("refuses keys that are unknown, revoked or meant for something else", () => {
  const signed = signJob(wire, ciKey());
  expect(refusal(signed, { keys: { get: () => undefined } })).toEqual(
    refused("SIGNATURE_INVALID", "unknown_key"),
  );
  expect(refusal(signed, { keys: bothKeys({ revoked: true }) })).toEqual(
    refused("SIGNATURE_INVALID", "revoked_key"),
  );
  expect(refusal(signed, { keys: bothKeys({ purposes: ["result"] }) })).toEqual(
    refused("SIGNER_MISMATCH", "purpose_not_allowed"),
  );
});

it("refuses a job that names another subject than its key's", () => {
  const audit = { authorization: { subject: "service:ops" } };
  expect(refusal(signJob({ ...wire, audit }, ciKey()))).toEqual(
    refused("SIGNER_MISMATCH", "wrong_subject"),
  );
  expect(refusal(signJob({ ...wire, audit }, opsKey()))).toMatchObject({ kid: "ops-1" });
});

it("refuses a job that is older than results are kept, or from the future", () => {
  const signed = signJob(wire, ciKey());
  expect(refusal(signed, { now: () => nowMs + 86_400_000 })).toMatchObject({ kid: "ci-1" });
  expect(refusal(signed, { now: () => nowMs + 86_400_001 })).toEqual(
    refused("REQUEST_EXPIRED", "expired"),
  );
  expect(refusal(signed, { now: () => nowMs - 30_001 })).toEqual(
    refused("REQUEST_EXPIRED", "from_the_future"),
  );
});

it("signs nothing without an id and a time", () => {
  const { created_at: _gone, ...rest } = wire;
  expect(() => signJob(rest, ciKey())).toThrow(refused("INVALID_BODY", "malformed"));
});

describe("a worker that requires signatures", () => {
  const asked: string[] = [];
  const policy: Policy = {
    name: "recorder",
    async check(request) {
      asked.push(request.subject);
      return allowAllPolicy().check(request);
    },
  };

  function start() {
    asked.length = 0;
    return startWorker({
      policy,
      handlers: [echoHandler],
      admission: { requireSignature: true },
      verifySignature: jobSignatureVerifier({ keys: bothKeys() }),
    });
  }

  function signedJob(change: Partial<JobDocument> = {}): JobDocument {
    const document = createJobDocument({ operation: "system.echo", data: { text: "hello" } });
    const signature = signJob(encodeJobDocument(document), ciKey())["signature"];
    const { algorithm, public_key_id: publicKeyId, value } = signature as Record<string, string>;
    return {
      ...document,
      signature: {
        algorithm: algorithm as "ed25519",
        publicKeyId: publicKeyId ?? "",
        value: value ?? "",
      },
      ...change,
    };
  }

  it("runs a signed job, and asks the policy about its signer", async () => {
    await using worker = await start();
    const { payload, ...document } = signedJob();
    const job = await worker.submit({ ...document, data: payload.data });
    expect(await job.result()).toMatchObject({ status: "completed" });
    expect(asked).toEqual(["service:ci"]);
  });

  it("checks what came in by a transport as it came in, before defaults are filled in", async () => {
    const queue = memoryQueue();
    asked.length = 0;
    await using _worker = await startWorker({
      policy,
      handlers: [echoHandler],
      transports: [memoryTransport({ queue })],
      admission: { requireSignature: true },
      verifySignature: jobSignatureVerifier(options),
    });
    const signed = signJob(wire, ciKey());
    expect(await queue.send(signed).ended).toMatchObject({ kind: "answered" });
    const changed = { ...signed, job_id: "job-2" };
    expect(await queue.send(changed).ended).toMatchObject({
      kind: "dead",
      error: { code: "SIGNATURE_INVALID" },
    });
    expect(asked).toEqual(["service:ci"]);
  });

  it("refuses a job that was changed, and one that is not signed", async () => {
    await using worker = await start();
    const { payload: _replaced, ...document } = signedJob();
    await expect(worker.submit({ ...document, data: { text: "bye" } })).rejects.toMatchObject({
      code: "SIGNATURE_INVALID",
    });
    await expect(worker.submit({ operation: "system.echo", data: {} })).rejects.toMatchObject({
      code: "SIGNATURE_INVALID",
    });
    expect(asked).toEqual([]);
  });
});
