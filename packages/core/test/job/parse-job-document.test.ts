import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import {
  encodeJobDocument,
  LongshoreError,
  parseJobDocument,
  type ParseOptions,
} from "../../src/index.ts";

const json: ParseOptions = { contentType: "application/json" };
const yaml: ParseOptions = { contentType: "application/yaml" };
const minimal = { version: "1.0", job_id: "job-1", operation: "system.echo" };
const parse = (extra: object, options: Partial<ParseOptions> = {}) =>
  parseJobDocument(JSON.stringify({ ...minimal, ...extra }), { ...json, ...options });

/** Paths of what is wrong. */
function issuesOf(extra: object): readonly string[] {
  try {
    parse(extra);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", phase: "validation" });
    const { details = {} } = error as LongshoreError;
    return (details["issues"] as { path: string }[]).map(({ path }) => path);
  }
}

describe("a job document", () => {
  it("gets every default", () => {
    const { document, warnings, protocolVersion } = parse({}, { now: () => 0 });
    expect(document).toEqual({
      version: "1.0",
      jobId: "job-1",
      createdAt: "1970-01-01T00:00:00.000Z",
      kind: "Job",
      operation: "system.echo",
      payload: { type: "system.echo.v1", data: {} },
      execution: {
        attempt: 1,
        maxAttempts: 1,
        queueTimeoutSeconds: 300,
        priority: 5,
        cancellable: true,
        retry: { baseMs: 1_000, factor: 2, maxMs: 300_000, jitter: 0.2 },
      },
    });
    expect(warnings).toEqual([]);
    expect(protocolVersion).toBe(1);
  });

  it("may be YAML, of any kind, with data that is null", () => {
    const text = stringify({ ...minimal, kind: "VMOperation", payload: { data: null } });
    const { document } = parseJobDocument(text, yaml);
    expect(document).toMatchObject({ kind: "VMOperation", payload: { data: null } });
  });

  it.each([
    ["not JSON", "{", json],
    ["a list", "[]", json],
    ["null", "null", json],
    ["nothing", "", json],
    ["not YAML", "a: [", yaml],
    ["twice the same key", "job_id: a\njob_id: b", yaml],
    ["two documents", "a: 1\n---\na: 2", yaml],
    ["an unknown tag", "a: !!js/function 'x'", yaml],
    [
      "a million laughs",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
        .split("")
        .map((n, i) => `${n}: &${n} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(",")}]`)
        .join("\n")}`,
      yaml,
    ],
    ["too deep", `{"a":${"[".repeat(100)}${"]".repeat(100)}}`, json],
    ["not UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), json],
  ])("is refused when it is %s", (_what, body, options) => {
    expect(() => parseJobDocument(body, options)).toThrow(
      expect.objectContaining({ code: "INVALID_BODY" }),
    );
  });

  it("is refused over the limit of bytes", () => {
    expect(() => parse({ payload: { data: "x".repeat(2_000) } }, { maxBytes: 1_000 })).toThrow(
      expect.objectContaining({ code: "INVALID_BODY" }),
    );
  });

  it("needs an id, and a version of the protocol that is known", () => {
    expect(() => parse({ job_id: undefined })).toThrow(
      expect.objectContaining({ code: "MISSING_JOB_ID" }),
    );
    expect(() => parse({ version: "2.0" })).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_PROTOCOL_VERSION" }),
    );
    expect(issuesOf({ version: "one" })).toEqual(["version"]);
    expect(parse({ version: "1.3" }).warnings).toEqual(["version 1.3 is newer than 1.0"]);
  });

  it.each([
    [{ job_id: "../up" }, "job_id"],
    [{ job_id: "a..b" }, "job_id"],
    [{ operation: "echo" }, "operation"],
    [{ operation: "System.Echo" }, "operation"],
    [{ operation: `a.${"b".repeat(200)}` }, "operation"],
    [{ created_at: "yesterday" }, "created_at"],
    [{ kind: "" }, "kind"],
    [{ payload: { type: "echo" } }, "payload.type"],
    [{ metadata: { labels: { "-bad": "x" } } }, "metadata.labels.-bad"],
    [{ metadata: { labels: { good: "bad value" } } }, "metadata.labels.good"],
    [{ execution: { priority: 0 } }, "execution.priority"],
    [{ execution: { priority: 11 } }, "execution.priority"],
    [{ execution: { attempt: 2 } }, "execution.attempt"],
    [{ execution: { max_attempts: 101 } }, "execution.max_attempts"],
    [{ execution: { timeout_seconds: 0 } }, "execution.timeout_seconds"],
    [{ execution: { timeout_seconds: 1.5 } }, "execution.timeout_seconds"],
    [{ execution: { deadline: "soon" } }, "execution.deadline"],
    [{ execution: { idempotency_key: "k".repeat(257) } }, "execution.idempotency_key"],
    [{ execution: { retry: { jitter: 2 } } }, "execution.retry.jitter"],
    [{ runtime: { mode: "image" } }, "runtime.image"],
    [{ runtime: { mode: "build" } }, "runtime.build"],
    [{ runtime: { files: { x: { content: "", base64: "" } } } }, "runtime.files.x"],
    [{ runtime: { cmd: ["a\0b"] } }, "runtime.cmd[0]"],
    [
      { constraints: { required_runtimes: { python: "three" } } },
      "constraints.required_runtimes.python",
    ],
    [{ runtime: { env: { "BAD-NAME": "x" } } }, "runtime.env.BAD-NAME"],
    [{ runtime: { files: { "../x": { content: "" } } } }, "runtime.files.../x"],
    [{ runtime: { files: { "/x": { content: "" } } } }, "runtime.files./x"],
    [{ runtime: { files: { x: { content: "", mode: "9999" } } } }, "runtime.files.x.mode"],
    [{ runtime: { limits: { memory_mb: -1 } } }, "runtime.limits.memory_mb"],
    [{ signature: { algorithm: "rsa" } }, "signature.algorithm"],
  ])("with %j is refused at %s", (extra, path) => {
    expect(issuesOf(extra)).toContain(path);
  });

  it("keeps fields that nobody knows, and says so", () => {
    const extra = {
      x_vendor: { Some_Thing: [1] },
      execution: { x_rate: 3 },
      runtime: { mode: "handler", x: null },
    };
    const { document, warnings } = parse(extra);
    expect(encodeJobDocument(document)).toMatchObject(extra);
    expect(warnings.map((warning) => warning.split(" ")[0])).toEqual([
      "x_vendor",
      "execution.x_rate",
      "runtime.x",
    ]);
    expect(() => parse(extra, { strict: true })).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });

  it("lets no unknown field pass for a checked one", () => {
    const { document } = parse({ jobId: "../../up", execution: { maxAttempts: 1e9 } });
    expect(document.jobId).toBe("job-1");
    expect(document.execution.maxAttempts).toBe(1);
  });

  it.each([
    ["at the top", '"__proto__":{"polluted":1}', "__proto__"],
    ["in metadata", '"metadata":{"__proto__":{"polluted":1}}', "metadata.__proto__"],
    ["in a payload", '"payload":{"data":[{"__proto__":1}]}', "payload.data[0].__proto__"],
  ])("cannot reach the prototype of objects %s", (_where, member, path) => {
    const body = `{"version":"1.0","job_id":"j","operation":"a.b",${member}}`;
    expect(() => parseJobDocument(body, json)).toThrow(
      expect.objectContaining({
        code: "VALIDATION_ERROR",
        details: { issues: [expect.objectContaining({ path, code: "forbidden_key" })] },
      }),
    );
    expect("polluted" in {}).toBe(false);
  });

  it("needs a mode that exists", () => {
    expect(() => parse({ runtime: { mode: "magic" } })).toThrow(
      expect.objectContaining({ code: "BAD_RUNTIME_MODE" }),
    );
  });

  it("takes no number that JSON cannot say again", () => {
    const body = `{"version":"1.0","job_id":"j","operation":"a.b","payload":{"data":1e999}}`;
    expect(() => parseJobDocument(body, json)).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });

  it("warns about what is odd", () => {
    const now = (): number => 0;
    expect(parse({ created_at: "1970-01-01T00:10:00Z" }, { now }).warnings).toHaveLength(1);
    expect(parse({ execution: { timeout_seconds: 100_000 } }, { now }).warnings).toHaveLength(1);
  });

  it("throws nothing but errors with a code, whatever it is given", () => {
    const documents = fc.oneof(
      fc.string(),
      fc.json(),
      fc.uint8Array({ maxLength: 200 }),
      fc
        .dictionary(
          fc.constantFrom(
            "version",
            "job_id",
            "operation",
            "payload",
            "execution",
            "runtime",
            "routing",
            "x",
          ),
          fc.oneof(fc.jsonValue(), fc.constantFrom("1.0", "a.b", "job-1")),
        )
        .map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(documents, fc.constantFrom(json, yaml), (body, options) => {
        try {
          parseJobDocument(body, options);
        } catch (error) {
          expect(error).toBeInstanceOf(LongshoreError);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a version 0 document", () => {
  const v0 = {
    protocol_version: 1,
    job_id: "old-1",
    task: { type: "render", payload: { frame: 7 } },
    runtime: {
      mode: "image",
      image: "alpine",
      cmd: ["true"],
      env: { A: 1 },
      limits: { memory_mb: 64, max_runtime_seconds: 2.5 },
    },
  };

  it("is converted, and its job gets the original on standard input", () => {
    const { document, protocolVersion } = parseJobDocument(JSON.stringify(v0), json);
    expect(protocolVersion).toBe(0);
    expect(document).toMatchObject({
      version: "1.0",
      operation: "container.render",
      payload: { data: { frame: 7 } },
      execution: { timeoutSeconds: 3 },
      runtime: {
        mode: "image",
        image: "alpine",
        input: { stdin: "job" },
        limits: { memoryMb: 64, maxRuntimeSeconds: 2.5 },
      },
      original: v0,
    });
  });

  it("has no time limit of its own at 0, and needs the version it names", () => {
    const limits = { max_runtime_seconds: 0 };
    const { document } = parseJobDocument(
      JSON.stringify({ ...v0, runtime: { mode: "image", image: "alpine", limits } }),
      json,
    );
    expect(document.execution.timeoutSeconds).toBeUndefined();
    expect(document.runtime?.limits?.maxRuntimeSeconds).toBeUndefined();
    expect(() => parseJobDocument(JSON.stringify({ ...v0, protocol_version: 2 }), json)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_PROTOCOL_VERSION" }),
    );
  });

  it.each([
    ["no runtime", { runtime: undefined }, "VALIDATION_ERROR", "runtime"],
    ["a task without a type", { task: {} }, "VALIDATION_ERROR", "task.type"],
    ["a mode of version 1", { runtime: { mode: "process" } }, "BAD_RUNTIME_MODE", "runtime.mode"],
  ])("with %s is refused in its own words", (...[, change, code, path]) => {
    expect(() => parseJobDocument(JSON.stringify({ ...v0, ...change }), json)).toThrow(
      expect.objectContaining({
        code,
        details: expect.objectContaining({ issues: [expect.objectContaining({ path })] }),
      }),
    );
  });

  it("gives fields of version 1 no meaning", () => {
    const { document } = parseJobDocument(
      JSON.stringify({ ...v0, execution: { priority: 10 }, operation: "system.echo" }),
      json,
    );
    expect(document).toMatchObject({ operation: "container.render", execution: { priority: 5 } });
    expect(document.original).toMatchObject({ execution: { priority: 10 } });
  });
});
