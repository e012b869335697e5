import { expect, it } from "vitest";
import {
  admissionRules,
  checkAdmission,
  createJobDocument,
  effectiveTimeoutMs,
  type AdmissionOverrides,
  type JobDocument,
  type JobInput,
} from "../../src/index.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

function job(input: Partial<JobInput> = {}): JobDocument {
  return createJobDocument({ operation: "disk.inspect", ...input });
}

/** The error that admission gives, or `undefined`. */
function refusal(document: JobDocument, overrides: AdmissionOverrides = {}): unknown {
  try {
    checkAdmission(document, admissionRules(overrides), nowMs);
    return undefined;
  } catch (error) {
    return error;
  }
}

it("lets a handler's job in by default, and no other mode", () => {
  expect(refusal(job())).toBeUndefined();
  for (const mode of ["process", "image", "build", "sandbox"] as const) {
    expect(
      refusal(job({ runtime: { mode, image: "alpine", runtime: "shell", build: {} } })),
    ).toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
      message: expect.stringContaining("policy.allowed_modes"),
      details: { mode, allowedModes: ["handler"] },
    });
  }
});

it("tells a mode that does not exist from one that is not allowed", () => {
  const document = { ...job(), runtime: { mode: "teleport" } } as unknown as JobDocument;
  expect(refusal(document)).toMatchObject({ code: "BAD_RUNTIME_MODE" });
});

it.each([
  [["*"], true],
  [["disk.inspect"], true],
  [["disk.*"], true],
  [["disk.inspect.*"], false],
  [["disk.inspec"], false],
  [["dis.*"], false],
  [[], false],
])("with allowed operations %j a job is let in: %s", (allowedOperations, isAllowed) => {
  const error = refusal(job(), { allowedOperations });
  if (isAllowed) expect(error).toBeUndefined();
  else {
    expect(error).toMatchObject({
      code: "POLICY_DENIED",
      message: expect.stringContaining("policy.allowed_operations"),
    });
  }
});

it("lets in no image unless it is named", () => {
  const document = job({ runtime: { mode: "image", image: "alpine:3" } });
  const allowedModes = ["image"] as const;
  expect(refusal(document, { allowedModes })).toMatchObject({
    code: "IMAGE_NOT_ALLOWED",
    message: expect.stringContaining("policy.allowed_images"),
  });
  expect(refusal(document, { allowedModes, allowedImages: ["alpine:*"] })).toBeUndefined();
  expect(refusal(document, { allowedModes, allowedImages: ["debian:*"] })).toMatchObject({
    code: "IMAGE_NOT_ALLOWED",
  });
});

it("never lets in an image that could pass for an option, not even where all are allowed", () => {
  const document = job({ runtime: { mode: "image", image: "--privileged" } });
  expect(refusal(document, { allowedModes: ["image"], allowedImages: ["*"] })).toMatchObject({
    code: "VALIDATION_ERROR",
  });
});

it("checks the image of a sandbox like the job's own", () => {
  const allowed = { allowedImages: ["debian:*"] };
  expect(refusal(job(sandbox({ image: "debian:12" })), allowed)).toBeUndefined();
  const denied = { code: "IMAGE_NOT_ALLOWED" };
  expect(refusal(job(sandbox({ image: "alpine" })), allowed)).toMatchObject(denied);
  expect(refusal(job(sandbox({ image: ["debian:12"] })), allowed)).toMatchObject(denied);
});

it.each(["mounts", "ports"])("lets no job ask for %s of its sandbox", (name) => {
  expect(refusal(job(sandbox({ [name]: [] })), {})).toBeUndefined();
  for (const value of [[{ port: 1 }], {}, "x"]) {
    expect(refusal(job(sandbox({ [name]: value })), {})).toMatchObject({
      code: "POLICY_DENIED",
      details: { path: `runtime.sandbox.${name}` },
    });
  }
});

it("checks an image in whatever mode it is named", () => {
  const document = job({ runtime: { mode: "sandbox", image: "alpine" } });
  expect(refusal(document, { allowedModes: ["sandbox"] })).toMatchObject({
    code: "IMAGE_NOT_ALLOWED",
  });
});

const limits = (value: NonNullable<JobInput["runtime"]>["limits"]): Partial<JobInput> => ({
  runtime: { mode: "handler", limits: value },
});
const sandbox = (value: unknown): Partial<JobInput> => ({
  runtime: { mode: "handler", sandbox: value },
});

it.each<{
  readonly path: string;
  readonly input: Partial<JobInput>;
  readonly max: AdmissionOverrides["max"];
  readonly setting: string;
}>([
  {
    path: "execution.timeout_seconds",
    input: { execution: { timeoutSeconds: 11 } },
    max: { timeoutSeconds: 10 },
    setting: "timeout_seconds",
  },
  {
    path: "runtime.limits.max_runtime_seconds",
    input: limits({ maxRuntimeSeconds: 11 }),
    max: { timeoutSeconds: 10 },
    setting: "timeout_seconds",
  },
  {
    path: "runtime.limits.memory_mb",
    input: limits({ memoryMb: 11 }),
    max: { memoryMb: 10 },
    setting: "memory_mb",
  },
  { path: "runtime.limits.cpus", input: limits({ cpus: 1.5 }), max: { cpus: 1 }, setting: "cpus" },
  { path: "runtime.limits.pids", input: limits({ pids: 2 }), max: { pids: 1 }, setting: "pids" },
  {
    path: "runtime.sandbox.memory_mb",
    input: sandbox({ memory_mb: 11 }),
    max: { memoryMb: 10 },
    setting: "memory_mb",
  },
  {
    path: "runtime.sandbox.memory_mb",
    input: sandbox({ memory_mb: "1" }),
    max: { memoryMb: 10 },
    setting: "memory_mb",
  },
  {
    path: "runtime.sandbox.vcpus",
    input: sandbox({ vcpus: 2 }),
    max: { cpus: 1 },
    setting: "cpus",
  },
  { path: "runtime.sandbox.cpus", input: sandbox({ cpus: 2 }), max: { cpus: 1 }, setting: "cpus" },
  { path: "runtime.sandbox.pids", input: sandbox({ pids: 2 }), max: { pids: 1 }, setting: "pids" },
  {
    path: "payload.data",
    input: { data: { text: "é".repeat(60) } },
    max: { payloadBytes: 100 },
    setting: "payload_bytes",
  },
])("refuses more $path than allowed", ({ path, input, max, setting }) => {
  expect(refusal(job(input), { max })).toMatchObject({
    code: "LIMIT_EXCEEDED",
    message: expect.stringContaining(`policy.max.${setting}`),
    details: { path },
  });
});

it("lets in what is exactly at a limit", () => {
  const document = job({
    execution: { timeoutSeconds: 10 },
    runtime: { mode: "handler", limits: { memoryMb: 10, cpus: 1, pids: 10 } },
  });
  expect(
    refusal(document, { max: { timeoutSeconds: 10, memoryMb: 10, cpus: 1, pids: 10 } }),
  ).toBeUndefined();
});

it("refuses a job whose deadline has passed, to the millisecond", () => {
  const deadline = (at: number): JobDocument =>
    job({ execution: { deadline: new Date(at).toISOString() } });
  expect(refusal(deadline(nowMs))).toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(refusal(deadline(nowMs + 1))).toBeUndefined();
});

it.each<[string, AdmissionOverrides]>([
  ["a mode that does not exist", { allowedModes: ["teleport" as "handler"] }],
  ["an image pattern that means nothing", { allowedImages: ["*/*"] }],
  ["a pattern for images of the host", { allowedImages: ["oci:/srv/images/*"] }],
  ["an incomplete digest", { allowedImages: ["*@sha256:12"] }],
  ["no time at all", { defaults: { timeoutSeconds: 0 } }],
  ["a limit that is not a number", { max: { memoryMb: Number.NaN } }],
])("refuses rules with %s", (_what, overrides) => {
  expect(() => admissionRules(overrides)).toThrow(
    expect.objectContaining({ code: "CONFIG_ERROR" }),
  );
});

it.each<[string, Partial<JobInput>, number]>([
  ["the worker's default", {}, 300_000],
  ["its own time-out", { execution: { timeoutSeconds: 20 } }, 20_000],
  [
    "its own time-out, though longer than the default",
    { execution: { timeoutSeconds: 900 } },
    900_000,
  ],
  ["its runtime limit", { runtime: { mode: "handler", limits: { maxRuntimeSeconds: 0.5 } } }, 500],
  [
    "the smaller of both",
    {
      execution: { timeoutSeconds: 20 },
      runtime: { mode: "handler", limits: { maxRuntimeSeconds: 30 } },
    },
    20_000,
  ],
  ["what remains until the deadline", { execution: { deadline: "2026-01-01T00:00:07Z" } }, 7_000],
  [
    "no time once the deadline has passed",
    { execution: { deadline: "2025-12-31T23:59:59Z" } },
    -1_000,
  ],
])("a job gets %s", (_what, input, timeoutMs) => {
  expect(effectiveTimeoutMs(job(input), admissionRules(), nowMs)).toBe(timeoutMs);
});
