import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createJobDocument,
  isMisplaced,
  matches,
  type Capabilities,
  type JobInput,
  type MatchedWorker,
  type MismatchReason,
  type Taint,
} from "../../src/index.ts";
import { basicCapabilities } from "../../src/capability/basic-capabilities.ts";

const capabilities: Capabilities = {
  ...basicCapabilities({ operations: () => ["disk.inspect", "text.*"] }, 4),
  runtimes: ["shell", "Python", "node"],
  runtimeVersions: { shell: ["5.2.15"], python3: ["3.9.18", "3.11.7"] },
  features: ["qemu-img", "nbd"],
  limits: { maxConcurrentJobs: 4, maxDiskSizeGb: 100, memoryMb: 2_048, cpus: 2 },
  privileged: false,
  workerVersion: "1.4.2",
};
const worker: MatchedWorker = {
  workerId: "worker-1",
  pool: "default",
  labels: { zone: "a", disk: "ssd" },
  capabilities,
};

type Job = Omit<JobInput, "operation">;

function reasonsOf(job: Job, who: Partial<MatchedWorker> = {}): readonly MismatchReason[] {
  const document = createJobDocument({ operation: "disk.inspect", ...job });
  const match = matches(document, { ...worker, ...who });
  return match.ok ? [] : match.reasons;
}

/** Code and field of each reason. */
function mismatchesOf(job: Job, who: Partial<MatchedWorker> = {}): readonly string[] {
  return reasonsOf(job, who).map(({ code, field }) => `${code} ${field}`);
}

const able = (more: Partial<Capabilities>): Partial<MatchedWorker> => ({
  capabilities: { ...capabilities, ...more },
});

describe("a job that asks for nothing", () => {
  it("fits every worker", () => {
    expect(mismatchesOf({})).toEqual([]);
    expect(matches(createJobDocument({ operation: "no.such" }), worker)).toEqual({ ok: true });
  });
});

describe("versions", () => {
  it.each([
    [["1.0"], true],
    [["1.7"], true],
    [["2.0", "1.0"], true],
    [["2.0"], false],
    [["10.0"], false],
    [[], false],
  ])("a worker that knows the protocols %j: %s", (protocolVersions, isFitting) => {
    const expected = isFitting ? [] : ["PROTOCOL_VERSION version"];
    expect(mismatchesOf({}, able({ protocolVersions }))).toEqual(expected);
  });

  it.each([
    ["1.4.2", "1.4.2", true],
    ["1.4.2", "1.4", true],
    ["1.4.2", "1", true],
    ["1.4.2", "1.4.3", false],
    ["1.4.2", "1.10.0", false],
    ["1.10.0", "1.9.0", true],
    ["2.0.0-beta.1", "2.0.0", false],
    ["2.0.0-beta.2", "2.0.0-beta.1", true],
    ["unknown", "1.0.0", false],
  ])("a worker of version %s, when %s is the least: %s", (workerVersion, least, isFitting) => {
    const constraints = { minimumWorkerVersion: least };
    const expected = isFitting ? [] : ["WORKER_VERSION constraints.minimum_worker_version"];
    expect(mismatchesOf({ constraints }, able({ workerVersion }))).toEqual(expected);
  });
});

describe("routing", () => {
  it.each<readonly [string, Job, readonly string[]]>([
    ["this worker", { routing: { workerId: "worker-1" } }, []],
    ["another worker", { routing: { workerId: "worker-10" } }, ["WORKER_ID routing.worker_id"]],
    ["this pool", { routing: { workerPool: "default" } }, []],
    ["another pool", { routing: { workerPool: "gpu" } }, ["WORKER_POOL routing.worker_pool"]],
    ["one of some pools", { constraints: { allowedWorkerPools: ["gpu", "default"] } }, []],
    [
      "other pools",
      { constraints: { allowedWorkerPools: ["gpu"] } },
      ["WORKER_POOL constraints.allowed_worker_pools"],
    ],
    [
      "no pool at all",
      { constraints: { allowedWorkerPools: [] } },
      ["WORKER_POOL constraints.allowed_worker_pools"],
    ],
    ["its labels", { routing: { selector: { zone: "a", disk: "ssd" } } }, []],
    [
      "a label of another value",
      { routing: { selector: { zone: "b", disk: "ssd" } } },
      ["SELECTOR routing.selector"],
    ],
    [
      "two labels it lacks",
      { routing: { selector: { rack: "7", row: "1" } } },
      ["SELECTOR routing.selector", "SELECTOR routing.selector"],
    ],
    [
      "a label that every object has",
      { routing: { selector: { constructor: "Object" } } },
      ["SELECTOR routing.selector"],
    ],
  ])("to %s", (_what, job, expected) => {
    expect(mismatchesOf(job)).toEqual(expected);
  });
});

describe("taints", () => {
  const hard: Taint = { key: "gpu", value: "l4", effect: "no_schedule" };
  const refused = ["TAINT routing.tolerations"];

  it.each<readonly [string, unknown, boolean]>([
    ["the same", { key: "gpu", operator: "equal", value: "l4", effect: "no_schedule" }, true],
    ["no operator, which is equal", { key: "gpu", value: "l4" }, true],
    ["any value", { key: "gpu", operator: "exists" }, true],
    ["the words of Kubernetes", { key: "gpu", operator: "Exists", effect: "NoSchedule" }, true],
    ["the other words of Kubernetes", { key: "gpu", operator: "Equal", value: "l4" }, true],
    ["another key", { key: "disk", operator: "exists" }, false],
    ["another value", { key: "gpu", value: "t4" }, false],
    ["no value", { key: "gpu" }, false],
    ["another effect", { key: "gpu", operator: "exists", effect: "prefer_no_schedule" }, false],
    ["an operator that nobody knows", { key: "gpu", operator: "like", value: "l4" }, false],
    ["an operator that is no word", { key: "gpu", operator: 1, value: "l4" }, false],
    ["no object", "gpu", false],
    ["nothing", null, false],
  ])("and a toleration of %s", (_what, toleration, isTolerated) => {
    const job = { routing: { tolerations: ["noise", toleration] } };
    expect(mismatchesOf(job, { taints: [hard] })).toEqual(isTolerated ? [] : refused);
  });

  it("without value are tolerated without value", () => {
    const taints: readonly Taint[] = [{ key: "spot", effect: "no_schedule" }];
    expect(mismatchesOf({ routing: { tolerations: [{ key: "spot" }] } }, { taints })).toEqual([]);
    const other = { routing: { tolerations: [{ key: "spot", value: "x" }] } };
    expect(mismatchesOf(other, { taints })).toEqual(refused);
  });

  it("are each to be tolerated, those that only prefer not", () => {
    const taints: readonly Taint[] = [
      hard,
      { key: "spot", effect: "no_schedule" },
      { key: "slow", effect: "prefer_no_schedule" },
    ];
    expect(mismatchesOf({}, { taints })).toEqual([...refused, ...refused]);
    const reasons = reasonsOf(
      { routing: { tolerations: [{ key: "gpu", value: "l4" }] } },
      { taints },
    );
    expect(reasons.map(({ message }) => message)).toEqual([
      "The worker's taint spot is not tolerated.",
    ]);
  });
});

describe("constraints", () => {
  it.each<readonly [string, NonNullable<Job["constraints"]>, readonly string[]]>([
    ["an operation", { requiredCapabilities: ["disk.inspect"] }, []],
    ["an operation that a pattern covers", { requiredCapabilities: ["text.count.words"] }, []],
    [
      "the pattern without its end",
      { requiredCapabilities: ["text"] },
      ["CAPABILITY constraints.required_capabilities"],
    ],
    [
      "a longer name",
      { requiredCapabilities: ["disk.inspector"] },
      ["CAPABILITY constraints.required_capabilities"],
    ],
    ["a feature among the capabilities", { requiredCapabilities: ["nbd"] }, []],
    [
      "two capabilities that are not there",
      { requiredCapabilities: ["a", "nbd", "b"] },
      [
        "CAPABILITY constraints.required_capabilities",
        "CAPABILITY constraints.required_capabilities",
      ],
    ],
    ["a feature", { requiredFeatures: ["qemu-img"] }, []],
    [
      "an operation among the features",
      { requiredFeatures: ["disk.inspect"] },
      ["FEATURE constraints.required_features"],
    ],
    ["no privileges", { requirePrivileged: false }, []],
    ["privileges", { requirePrivileged: true }, ["PRIVILEGED constraints.require_privileged"]],
  ])("%s", (_what, constraints, expected) => {
    expect(mismatchesOf({ constraints })).toEqual(expected);
  });

  it("are kept by a worker that is privileged", () => {
    const constraints = { requirePrivileged: true };
    expect(mismatchesOf({ constraints }, able({ privileged: true }))).toEqual([]);
  });
});

describe("runtimes", () => {
  it.each([
    ["shell", true],
    ["BASH", true],
    ["python3", true],
    ["node.js", true],
    ["ruby", false],
    ["native", false],
  ])("mode process with %s: %s", (runtime, isFitting) => {
    const job = { runtime: { mode: "process", runtime, cmd: ["true"] } } as const;
    expect(mismatchesOf(job)).toEqual(isFitting ? [] : ["RUNTIME runtime.runtime"]);
  });

  it.each([
    ["python", "*", undefined],
    ["python", ">=3.10", undefined],
    ["Python3", "~3.9", undefined],
    ["python", ">=3.9 <3.10 || >=4", undefined],
    ["shell", "5.x", undefined],
    ["node", "*", undefined],
    ["python", ">=3.12", "3.9.18, 3.11.7"],
    ["python", "3.10", "3.9.18, 3.11.7"],
    ["node", ">=22", "no known version"],
    ["ruby", "*", "none"],
  ])("%s %s", (name, range, has) => {
    const constraints = { requiredRuntimes: { [name]: range } };
    const reasons = reasonsOf({ constraints });
    if (has === undefined) {
      expect(reasons).toEqual([]);
      return;
    }
    expect(reasons).toEqual([
      {
        code: "RUNTIME",
        field: `constraints.required_runtimes.${name}`,
        message: `${name} ${range} is needed; the worker has ${has}.`,
      },
    ]);
  });

  it("count for nothing when only a version is known", () => {
    const constraints = { requiredRuntimes: { python: "*" } };
    expect(mismatchesOf({ constraints }, able({ runtimes: ["shell"] }))).toEqual([
      "RUNTIME constraints.required_runtimes.python",
    ]);
  });
});

describe("resources", () => {
  it.each<readonly [string, Job, readonly string[]]>([
    ["all of the disk", { constraints: { maximumDiskSizeGb: 100 } }, []],
    [
      "more disk",
      { constraints: { maximumDiskSizeGb: 100.5 } },
      ["RESOURCES constraints.maximum_disk_size_gb"],
    ],
    [
      "all memory and processors",
      { runtime: { mode: "process", cmd: ["true"], limits: { memoryMb: 2_048, cpus: 2 } } },
      [],
    ],
    [
      "more memory",
      { runtime: { mode: "process", cmd: ["true"], limits: { memoryMb: 2_049 } } },
      ["RESOURCES runtime.limits.memory_mb"],
    ],
    [
      "more processors",
      { runtime: { mode: "process", cmd: ["true"], limits: { cpus: 2.5 } } },
      ["RESOURCES runtime.limits.cpus"],
    ],
    [
      "a small sandbox",
      {
        runtime: {
          mode: "sandbox",
          cmd: ["true"],
          image: "alpine",
          sandbox: { memory_mb: 512, vcpus: 1 },
        },
      },
      [],
    ],
    [
      "a sandbox that is too large",
      {
        runtime: {
          mode: "sandbox",
          cmd: ["true"],
          image: "alpine",
          sandbox: { memory_mb: 4_096, vcpus: 8 },
        },
      },
      ["RESOURCES runtime.sandbox.memory_mb", "RESOURCES runtime.sandbox.vcpus"],
    ],
  ])("%s", (_what, job, expected) => {
    expect(mismatchesOf(job)).toEqual(expected);
  });

  it("whose limit nobody told have none", () => {
    const { maxDiskSizeGb: _disk, ...limits } = capabilities.limits;
    const constraints = { maximumDiskSizeGb: 1_000_000 };
    expect(mismatchesOf({ constraints }, able({ limits }))).toEqual([]);
  });
});

describe("affinity", () => {
  const fieldOf = { affinity: "AFFINITY routing.affinity", anti: "AFFINITY routing.anti_affinity" };
  const expression = (key: string, operator: string, values?: readonly string[]) => ({
    required: [{ match_expressions: [{ key, operator, ...(values !== undefined && { values }) }] }],
  });
  const labels = (match_labels: Readonly<Record<string, string>>) => ({
    required: [{ match_labels }],
  });

  /** A rule that the worker's labels fit, or not: affinity wants it, anti-affinity the opposite. */
  it.each<readonly [string, object, boolean]>([
    ["labels it has", labels({ zone: "a", disk: "ssd" }), true],
    ["labels of which it lacks one", labels({ zone: "a", rack: "7" }), false],
    ["a label that every object has", labels({ constructor: "x" }), false],
    ["a value in a list", expression("zone", "In", ["b", "a"]), true],
    ["a value in a list without it", expression("zone", "In", ["b"]), false],
    ["a value in no list", expression("zone", "In"), false],
    ["a value of a label it lacks", expression("rack", "In", ["7"]), false],
    ["a value outside a list", expression("zone", "NotIn", ["b"]), true],
    ["a value outside its list", expression("zone", "NotIn", ["a", "b"]), false],
    ["any value, of a label it lacks", expression("rack", "NotIn", ["7"]), true],
    ["a label", expression("zone", "Exists"), true],
    ["a label it lacks", expression("rack", "Exists"), false],
    ["no label", expression("rack", "DoesNotExist"), true],
    ["no label it has", expression("zone", "DoesNotExist"), false],
    ["a label that no object lacks", expression("toString", "Exists"), false],
    [
      "one of two terms",
      { required: [...labels({ zone: "b" }).required, ...labels({ zone: "a" }).required] },
      true,
    ],
    ["a term that asks for nothing", { required: [{}] }, false],
    [
      "labels and expressions, all of a term",
      {
        required: [
          { match_labels: { zone: "a" }, match_expressions: [{ key: "rack", operator: "Exists" }] },
        ],
      },
      false,
    ],
  ])("to %s, and against them", (_what, rule, isFitting) => {
    expect(mismatchesOf({ routing: { affinity: rule } })).toEqual(
      isFitting ? [] : [fieldOf.affinity],
    );
    expect(mismatchesOf({ routing: { antiAffinity: rule } })).toEqual(
      isFitting ? [fieldOf.anti] : [],
    );
  });

  it.each([
    ["nothing required", { required: [] }],
    ["no rule", {}],
    ["only preferences", { preferred: [{ weight: 10, anything: true }] }],
    ["nothing", null],
  ])("with %s turns no worker away", (_what, rule) => {
    expect(mismatchesOf({ routing: { affinity: rule, antiAffinity: rule } })).toEqual([]);
  });

  it("as a plain map of preferences turns no worker away", () => {
    expect(mismatchesOf({ routing: { affinity: { zone: "b" } } })).toEqual([]);
  });

  it.each([
    ["no object", "zone=a"],
    ["a list", [{ match_labels: { zone: "a" } }]],
    ["an unknown operator", expression("zone", "Like", ["a"])],
    ["a field that nobody knows", { required: [], must: [] }],
    ["a field of a term that nobody knows", { required: [{ matchLabels: { zone: "a" } }] }],
    ["an expression without key", { required: [{ match_expressions: [{ operator: "Exists" }] }] }],
    ["too many terms", { required: Array.from({ length: 65 }, () => ({})) }],
  ])("that has %s is not passed over", (_what, rule) => {
    expect(mismatchesOf({ routing: { affinity: rule } })).toEqual([fieldOf.affinity]);
    expect(mismatchesOf({ routing: { antiAffinity: rule } })).toEqual([fieldOf.anti]);
  });

  it("against jobs keeps away from the worker that runs one", () => {
    const routing = { antiAffinity: { concurrent_jobs: ["job-1", "job-2"] } };
    const isRunning = (jobId: string) => jobId === "job-2";
    expect(reasonsOf({ routing }, { isRunning })).toMatchObject([
      { code: "AFFINITY", field: "routing.anti_affinity", message: "The job job-2 runs here." },
    ]);
    expect(mismatchesOf({ routing }, { isRunning: () => false })).toEqual([]);
    expect(mismatchesOf({ routing })).toEqual([]);
  });
});

describe("the reasons", () => {
  const everything: Job = {
    constraints: {
      minimumWorkerVersion: "9.0.0",
      requiredFeatures: ["tpu"],
      requirePrivileged: true,
      maximumDiskSizeGb: 1_000,
    },
    routing: { workerId: "other", selector: { zone: "z" } },
  };

  it("are all given, not only the first", () => {
    expect(mismatchesOf(everything)).toEqual([
      "WORKER_VERSION constraints.minimum_worker_version",
      "WORKER_ID routing.worker_id",
      "SELECTOR routing.selector",
      "FEATURE constraints.required_features",
      "PRIVILEGED constraints.require_privileged",
      "RESOURCES constraints.maximum_disk_size_gb",
    ]);
  });

  it("tell a job that is meant for others from one that is too much", () => {
    const misplaced = reasonsOf(
      {
        routing: {
          workerId: "other",
          workerPool: "gpu",
          selector: { zone: "z" },
          affinity: { required: [{}] },
        },
      },
      { taints: [{ key: "gpu", effect: "no_schedule" }] },
    );
    expect(misplaced.map(({ code }) => code)).toEqual([
      "WORKER_ID",
      "WORKER_POOL",
      "SELECTOR",
      "TAINT",
      "AFFINITY",
    ]);
    expect(isMisplaced(misplaced)).toBe(true);
    expect(isMisplaced(reasonsOf(everything))).toBe(false);
    expect(isMisplaced([])).toBe(false);
  });

  it("come for whatever routing may hold, and nothing is thrown", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.array(fc.jsonValue()),
        (affinity, antiAffinity, tolerations) => {
          const document = createJobDocument({ operation: "disk.inspect" });
          const routing = { affinity, antiAffinity, tolerations };
          const match = matches({ ...document, routing }, worker);
          expect(match.ok || match.reasons.every(({ code }) => code === "AFFINITY")).toBe(true);
        },
      ),
    );
  });
});
