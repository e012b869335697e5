import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeCapabilities,
  detectCapabilities,
  encodeCapabilities,
  handlerRegistry,
  LongshoreError,
  type Capabilities,
} from "../../src/index.ts";

const name = fc.string({ minLength: 1, maxLength: 40 });
const names = fc.array(name, { maxLength: 5 });
const version = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)).map((numbers) => numbers.join("."));
const size = fc.double({ min: 0, max: 1e9, noNaN: true }).map(Math.abs);
const json = fc.jsonValue().map((value): unknown => sent(value));

const capabilities: fc.Arbitrary<Capabilities> = fc.record({
  runtimes: names,
  runtimeVersions: fc.dictionary(
    fc.stringMatching(/^[a-z_]{1,20}$/).filter((key) => key !== "__proto__"),
    fc.array(version, { maxLength: 3 }),
  ),
  interpreters: fc.array(
    fc.record({ name, path: name, version }, { requiredKeys: ["name", "path"] }),
    { maxLength: 3 },
  ),
  operations: names,
  features: names,
  formats: fc.record({ disk: names, image: names }, { requiredKeys: [] }),
  sandboxBackends: fc.array(
    fc.record(
      {
        name,
        available: fc.boolean(),
        priority: fc.integer(),
        autoSelectable: fc.boolean(),
        reason: name,
      },
      { requiredKeys: ["name", "available", "priority", "autoSelectable"] },
    ),
    { maxLength: 3 },
  ),
  devices: fc.record(
    { gpu: fc.array(fc.record({ vendor: name, model: name, memoryMb: size }), { maxLength: 2 }) },
    { requiredKeys: [] },
  ),
  limits: fc.record(
    { maxConcurrentJobs: fc.nat(), maxDiskSizeGb: size, memoryMb: size, cpus: size },
    { requiredKeys: ["maxConcurrentJobs", "memoryMb", "cpus"] },
  ),
  privileged: fc.boolean(),
  workerVersion: version,
  protocolVersions: fc.array(version, { minLength: 1, maxLength: 3 }),
  dataLocality: names,
  extra: fc.dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    json,
  ),
});

const least = {
  limits: { max_concurrent_jobs: 1, memory_mb: 512, cpus: 1 },
  worker_version: "0.1.0",
  protocol_versions: ["1.0"],
};

/** As it comes over a wire. */
function sent(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function issuesOf(wire: unknown): unknown {
  try {
    decodeCapabilities(wire);
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "VALIDATION_ERROR") return error.details;
    throw error;
  }
  return undefined;
}

describe("the wire form", () => {
  it("brings back what went in, whatever it is", () => {
    fc.assert(
      fc.property(capabilities, (one) => {
        expect(decodeCapabilities(sent(encodeCapabilities(one)))).toEqual(one);
      }),
    );
  });

  it("has names in snake_case at every level, and leaves names of others alone", () => {
    fc.assert(
      fc.property(capabilities, (one) => {
        const { extra: _extra, runtime_versions: _versions, ...wire } = encodeCapabilities(one);
        const keys: string[] = [];
        JSON.stringify(wire, (key, value: unknown) => {
          keys.push(key);
          return value;
        });
        expect(keys.filter((key) => /[A-Z]/.test(key))).toEqual([]);
      }),
    );
    const extra = { rackNumber: { someName: 1 }, max_disk: 2 };
    const [one] = fc.sample(capabilities, { numRuns: 1, seed: 1 });
    expect(encodeCapabilities({ ...one, extra } as Capabilities)["extra"]).toEqual(extra);
  });

  it("brings back what this machine can do", async () => {
    const report = await detectCapabilities({ handlers: handlerRegistry(), maxConcurrentJobs: 2 });
    const wire = sent(encodeCapabilities(report.capabilities));
    expect(decodeCapabilities(wire)).toEqual(report.capabilities);
  });

  it("needs only what no worker is without", () => {
    expect(decodeCapabilities(least)).toEqual({
      runtimes: [],
      runtimeVersions: {},
      interpreters: [],
      operations: [],
      features: [],
      formats: {},
      sandboxBackends: [],
      devices: {},
      limits: { maxConcurrentJobs: 1, memoryMb: 512, cpus: 1 },
      privileged: false,
      workerVersion: "0.1.0",
      protocolVersions: ["1.0"],
      dataLocality: [],
      extra: {},
    });
  });

  it("keeps what a later version adds", () => {
    const wire = { ...least, quantum: { qubits: 4 } };
    expect(decodeCapabilities(wire)).toMatchObject({ quantum: { qubits: 4 } });
  });

  it.each<readonly [string, unknown, string]>([
    ["no object", "all", ""],
    ["nothing", null, ""],
    ["no limits", { ...least, limits: undefined }, "limits"],
    ["no protocol version", { ...least, protocol_versions: [] }, "protocol_versions"],
    [
      "less than no jobs",
      { ...least, limits: { ...least.limits, max_concurrent_jobs: -1 } },
      "limits.max_concurrent_jobs",
    ],
    [
      "memory that is no number",
      { ...least, limits: { ...least.limits, memory_mb: "1G" } },
      "limits.memory_mb",
    ],
    ["runtimes that are one name", { ...least, runtimes: "python" }, "runtimes"],
    ["a runtime without name", { ...least, runtimes: ["python", ""] }, "runtimes[1]"],
    [
      "a version that is a number",
      { ...least, runtime_versions: { python: [3.11] } },
      "runtime_versions.python[0]",
    ],
    ["an endless version", { ...least, worker_version: "1".repeat(65) }, "worker_version"],
    [
      "an endless list",
      { ...least, features: Array.from({ length: 10_001 }, () => "x") },
      "features",
    ],
    [
      "a backend that may be there",
      {
        ...least,
        sandbox_backends: [
          { name: "runc", available: "perhaps", priority: 1, auto_selectable: true },
        ],
      },
      "sandbox_backends[0].available",
    ],
  ])("is refused with %s", (_what, wire, path) => {
    expect(issuesOf(wire)).toMatchObject({ issues: [{ path }] });
  });
});
