import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createJobDocument,
  decodeJobDocument,
  decodeJobError,
  decodeJobEvent,
  decodeJobResult,
  encodeJobDocument,
  encodeJobError,
  encodeJobEvent,
  encodeJobResult,
  jobJsonSchemas,
  payloadDigest,
  encodeV0Result,
  toV0State,
  type JobResult,
} from "../../src/index.ts";

const jsonValue = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as unknown);
/** Names that no field of a document has, in either form. */
const vendorName = fc.stringMatching(/^x_[a-z]{3,8}$/);
const isoTime = fc
  .date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());
const optional = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
const name = fc.stringMatching(/^[a-z]{1,8}$/);

const wireDocument = fc
  .record({
    version: fc.constant("1.0"),
    job_id: fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
    created_at: isoTime,
    kind: name,
    operation: fc.tuple(name, name).map((parts) => parts.join(".")),
    payload: fc.record({ type: fc.constant("a.b.v1"), data: jsonValue }),
    metadata: optional(
      fc.record({
        labels: fc.dictionary(name, name),
        annotations: fc.dictionary(name, fc.string()),
      }),
    ),
    execution: fc.record({
      attempt: fc.constant(1),
      max_attempts: fc.integer({ min: 1, max: 100 }),
      queue_timeout_seconds: fc.integer({ min: 1, max: 1_000 }),
      priority: fc.integer({ min: 1, max: 10 }),
      cancellable: fc.boolean(),
      deadline: optional(isoTime),
      retry: fc.record({
        base_ms: fc.nat(1_000),
        factor: fc.integer({ min: 1, max: 10 }),
        max_ms: fc.nat(),
        jitter: fc.constant(0.5),
      }),
    }),
    runtime: optional(
      fc.record({
        mode: fc.constantFrom("handler", "process", "sandbox"),
        env: fc.dictionary(
          fc.stringMatching(/^[A-Z_]{1,10}$/),
          fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
        ),
        limits: optional(
          fc.record({ memory_mb: fc.integer({ min: 1, max: 9 }), max_stdout_bytes: fc.nat() }),
        ),
      }),
    ),
    signature: optional(
      fc.record({ algorithm: fc.constant("ed25519"), public_key_id: name, value: name }),
    ),
  })
  .chain((document) =>
    fc.dictionary(vendorName, jsonValue).map((extra) => Object.assign({}, document, extra)),
  )
  .map((document) => JSON.parse(JSON.stringify(document)) as Record<string, unknown>);

describe("the codec", () => {
  it("gives back every document as it was, with the fields nobody knows", () => {
    fc.assert(
      fc.property(wireDocument, (wire) => {
        const document = decodeJobDocument(wire);
        expect(JSON.parse(JSON.stringify(encodeJobDocument(document)))).toEqual(wire);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves the names in maps and payloads alone", () => {
    const document = createJobDocument({
      operation: "a.b",
      data: { some_key: { otherKey: 1 } },
      metadata: { labels: { snake_case: "x", camelCase: "y" } },
      constraints: { requiredRuntimes: { my_runtime: "*" } },
      runtime: { mode: "process", env: { MY_VAR: 1 }, files: { "a_b/cD": { content: "" } } },
    });
    expect(encodeJobDocument(document)).toMatchObject({
      payload: { data: { some_key: { otherKey: 1 } } },
      metadata: { labels: { snake_case: "x", camelCase: "y" } },
      constraints: { required_runtimes: { my_runtime: "*" } },
      runtime: { env: { MY_VAR: 1 }, files: { "a_b/cD": { content: "" } } },
    });
  });

  it("carries results with their attempts, errors and artifacts", () => {
    const time = "2026-01-01T00:00:00.000Z";
    const error = {
      code: "NON_ZERO_EXIT",
      message: "exit 3",
      recoverable: false,
      retryRecommended: false,
      causeCode: "EIO",
      details: { exit_code: 3 },
    };
    const result: JobResult = {
      version: "1.0",
      jobId: "j",
      operation: "a.b",
      status: "failed",
      workerId: "w",
      createdAt: time,
      startedAt: time,
      finishedAt: time,
      executionSummary: {
        startedAt: time,
        durationSeconds: 1,
        durationMs: 1_000,
        queueWaitMs: 5,
        attempt: 2,
        maxAttempts: 2,
        deduplicatedFrom: "i",
        workerVersion: "0.1.0",
      },
      exitCode: 3,
      oomKilled: false,
      stdoutBytesTruncated: 7,
      outputs: { artifacts: [{ path: "a", size: 1, sha256: "00", mediaType: "text/plain" }] },
      data: { snake_key: 1 },
      metrics: { peak_memory_mb: 5 },
      error,
      history: [
        { attempt: 1, workerId: "w", startedAt: time, finishedAt: time, status: "queued", error },
      ],
    };
    const wire = encodeJobResult(result);
    expect(wire).toMatchObject({
      exit_code: 3,
      failed_at: time,
      error: { cause_code: "EIO", retry_recommended: false, details: { exit_code: 3 } },
      outputs: { artifacts: [{ media_type: "text/plain" }] },
      data: { snake_key: 1 },
      history: [{ worker_id: "w", error: { cause_code: "EIO" } }],
    });
    expect(decodeJobResult(JSON.parse(JSON.stringify(wire)))).toEqual(result);
    expect(decodeJobError(encodeJobError(error))).toEqual(error);
  });

  it("carries events, and refuses what is none", () => {
    const event = {
      jobId: "j",
      kind: "progress",
      timestamp: "2026-01-01T00:00:00.000Z",
      sequence: 3,
      attempt: 1,
      workerId: "w",
      phase: "p",
      progressPercent: 40,
      message: "m",
      details: { a_b: 1 },
    } as const;
    expect(encodeJobEvent(event)).toMatchObject({ progress_percent: 40, details: { a_b: 1 } });
    expect(decodeJobEvent(encodeJobEvent(event))).toEqual(event);
    expect(() => decodeJobEvent({ job_id: "j" })).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });

  it("tells old clients what they know", () => {
    expect(
      ["completed", "timeout", "cancelling", "assigned"].map((state) =>
        toV0State(state as "completed"),
      ),
    ).toEqual(["finished", "failed", "running", "queued"]);
    const time = "2026-01-01T00:00:00.000Z";
    const result: JobResult = {
      version: "1.0",
      jobId: "old-1",
      operation: "container.render",
      status: "timeout",
      workerId: "w",
      createdAt: time,
      finishedAt: time,
      executionSummary: {
        durationSeconds: 0,
        durationMs: 0,
        queueWaitMs: 0,
        attempt: 1,
        maxAttempts: 1,
        workerVersion: "0.1.0",
      },
      history: [],
    };
    expect(encodeV0Result(result)).toEqual({
      job_id: "old-1",
      state: "failed",
      created_at: time,
      started_at: null,
      finished_at: time,
      exit_code: null,
      stdout: "",
      stderr: "",
      error: { code: "TIMEOUT", message: "The job ended as timeout." },
    });
  });
});

describe("createJobDocument", () => {
  it("makes a whole document of little, with an id of its own", () => {
    const document = createJobDocument({ operation: "system.echo", data: [1] });
    expect(document).toMatchObject({
      operation: "system.echo",
      payload: { type: "system.echo.v1", data: [1] },
      execution: { priority: 5, maxAttempts: 1 },
    });
    expect(document.jobId).toMatch(/^job-[0-9A-Z]{26}$/);
    expect(decodeJobDocument(encodeJobDocument(document))).toEqual(document);
  });

  it("checks what it is given as any document is checked", () => {
    const create = (input: object) => () => createJobDocument({ operation: "a.b", ...input });
    for (const input of [
      { operation: "A" },
      { jobId: "../x" },
      { execution: { priority: 99 } },
      { payloadType: "nope" },
      { metadata: { labels: { "a b": "c" } } },
    ]) {
      expect(create(input)).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
    }
  });
});

describe("payloadDigest", () => {
  it("does not depend on the order of keys, and on everything else", () => {
    expect(payloadDigest("a.b", { x: 1, y: [{ p: 1, q: 2 }] })).toBe(
      payloadDigest("a.b", { y: [{ q: 2, p: 1 }], x: 1 }),
    );
    const digests = [
      payloadDigest("a.b", { x: 1 }),
      payloadDigest("a.c", { x: 1 }),
      payloadDigest("a.b", { x: 2 }),
      payloadDigest("a.b", { x: "1" }),
      payloadDigest("a.b", [1, 2]),
      payloadDigest("a.b", [2, 1]),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });
});

describe("the published JSON Schemas", () => {
  it.each(Object.entries(jobJsonSchemas))(
    "%s.v1.json is what the code checks",
    (schemaName, schema) => {
      const file = join(import.meta.dirname, "../../schema", `${schemaName}.v1.json`);
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(JSON.parse(JSON.stringify(schema())));
    },
  );
});
