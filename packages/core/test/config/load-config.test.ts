import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import {
  defaultHome,
  loadConfig,
  type LoadConfigOptions,
  type WorkerConfig,
} from "../../src/index.ts";
import { configFolder, type ConfigFolder } from "./config-folder.ts";

let folder: ConfigFolder;
beforeAll(async () => {
  folder = await configFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

const fromEnv = (env: NonNullable<LoadConfigOptions["env"]>) => loadConfig({ env });

describe("without anything", () => {
  it("is complete, and takes nothing from anywhere", async () => {
    const { config, sources, warnings } = await loadConfig({ env: {}, cwd: "/srv/work" });
    expect(config).toEqual<WorkerConfig>({
      home: process.getuid?.() === 0 ? "/var/lib/longshore" : defaultHome({}),
      logLevel: "info",
      worker: {
        id: expect.stringMatching(/^worker-[A-Za-z0-9]/) as string,
        pool: "default",
        labels: {},
        taints: [],
        maxConcurrentJobs: 4,
        maxQueuedJobs: 10_000,
        shutdownTimeoutSeconds: 30,
        killGraceSeconds: 5,
        leaseSeconds: 60,
        resultsDir: "/srv/work/results",
        maxStdoutBytes: 10_485_760,
        maxStderrBytes: 10_485_760,
        resultRetention: 86_400,
        capabilities: {},
        trustDeclaredRuntimes: false,
      },
      policy: {
        rule: "allow-all",
        allowedModes: ["handler"],
        network: "none",
        allowedHosts: [],
        allowedOperations: ["*"],
        allowedImages: [],
        requireSignature: false,
        defaults: {},
        max: {},
      },
      plugins: [],
    });
    expect(sources).toEqual({});
    expect(warnings).toEqual([]);
  });

  it("names the worker after its host", async () => {
    const { config } = await loadConfig({ env: {} });
    const [first = ""] = hostname().split(".");
    expect(config.worker.id).toContain(first.replaceAll(/[^A-Za-z0-9-]/g, "-").slice(0, 50));
  });
});

describe("a file", () => {
  const document = {
    log_level: "debug",
    worker: {
      id: "w-1",
      labels: { "topology/zone": "a", "dotted.name": "b" },
      taints: [{ key: "gpu" }, { key: "slow", value: "yes", effect: "prefer_no_schedule" }],
      max_concurrent_jobs: 8,
      result_retention: "2d",
      capabilities: { runtimes: ["python"], formats: { disk: ["raw"] } },
    },
    policy: { allowed_modes: ["handler", "process"], max: { payload_bytes: 2_048, cpus: 1.5 } },
    plugins: ["./a.mjs", "longshore-plugin-b"],
    transports: [{ type: "file", jobs_dir: "in", pollIntervalMs: 5 }],
  };
  const expected = {
    logLevel: "debug",
    worker: {
      id: "w-1",
      labels: { "topology/zone": "a", "dotted.name": "b" },
      taints: [
        { key: "gpu", effect: "no_schedule" },
        { key: "slow", value: "yes", effect: "prefer_no_schedule" },
      ],
      maxConcurrentJobs: 8,
      resultRetention: 172_800,
      capabilities: { runtimes: ["python"], formats: { disk: ["raw"] } },
    },
    policy: { allowedModes: ["handler", "process"], max: { payloadBytes: 2_048, cpus: 1.5 } },
    plugins: ["./a.mjs", "longshore-plugin-b"],
    transports: [{ type: "file", jobs_dir: "in", pollIntervalMs: 5 }],
  };

  it.each([
    ["YAML", stringify(document)],
    ["JSON", JSON.stringify(document)],
    ["JSON with tabs", JSON.stringify(document, null, "\t")],
    ["YAML behind a byte order mark", `\uFEFF${stringify(document)}`],
    ["YAML with the line ends of Windows", stringify(document).replaceAll("\n", "\r\n")],
  ])("may be %s", async (_what, text) => {
    const { config, directory } = await folder.load(text);
    expect(config).toMatchObject(expected);
    expect(directory).toBe(folder.path);
  });

  it.each([
    ["nothing", ""],
    ["a comment", "# nothing yet\n"],
    ["sections without keys", "worker:\npolicy: ~\nplugins:\n"],
    ["keys without values", "home:\nworker: {pool: , labels: null}\n"],
  ])("may have %s", async (_what, text) => {
    const { config, sources } = await folder.load(text);
    expect(config).toEqual((await loadConfig({ env: {} })).config);
    expect(sources).toEqual({});
  });

  it("keeps its defaults in sections that say only a part", async () => {
    const { config } = await folder.load("worker: {pool: gpu}\npolicy: {max: {cpus: 2}}");
    expect(config.worker).toMatchObject({ pool: "gpu", maxConcurrentJobs: 4 });
    expect(config.policy).toMatchObject({ max: { cpus: 2 }, defaults: {}, rule: "allow-all" });
  });

  it("that is the example loads as it is, and says the defaults", async () => {
    const file = join(import.meta.dirname, "../../../../examples/worker-default.yaml");
    const { config } = await loadConfig({ env: {}, file });
    const plain = await loadConfig({ env: {}, cwd: join(file, "..") });
    expect(config.worker).toEqual(plain.config.worker);
    expect(config.policy).toMatchObject({ ...plain.config.policy, defaults: {}, max: {} });
  });

  it.each([
    [90, 90],
    [0, 0],
    ["45s", 45],
    ["10m", 600],
    ["24h", 86_400],
    ["7d", 604_800],
  ])("may say a time as %j", async (text, seconds) => {
    const { config } = await folder.load(stringify({ worker: { result_retention: text } }));
    expect(config.worker.resultRetention).toBe(seconds);
  });

  it("may use the old name of a key, which is told", async () => {
    const { config, sources, warnings } = await folder.load("worker: {max_concurrent_tasks: 2}");
    expect(config.worker.maxConcurrentJobs).toBe(2);
    expect(sources).toEqual({ "worker.max_concurrent_jobs": "file" });
    expect(warnings).toEqual([
      `worker.max_concurrent_tasks is an old name of worker.max_concurrent_jobs (${folder.path}/worker.yaml)`,
    ]);
  });
});

describe("paths", () => {
  const text = "home: h\nworker: {work_dir: w, results_dir: r}\npolicy: {keys_file: k.json}";

  it("of the file start at the file", async () => {
    const { config } = await folder.load(text, { cwd: "/srv" });
    expect([config.home, config.worker.workDir, config.worker.resultsDir]).toEqual([
      join(folder.path, "h"),
      join(folder.path, "w"),
      join(folder.path, "r"),
    ]);
    expect(config.policy.keysFile).toBe(join(folder.path, "k.json"));
  });

  it("of variables and flags start at the current directory", async () => {
    const { config } = await folder.load(text, {
      cwd: "/srv",
      env: { LONGSHORE_HOME: "eh", LONGSHORE__POLICY__KEYS_FILE: "../ek.json" },
      flags: { "worker.work_dir": "fw", "worker.results_dir": "/abs/fr" },
    });
    expect([config.home, config.worker.workDir, config.worker.resultsDir]).toEqual([
      "/srv/eh",
      "/srv/fw",
      "/abs/fr",
    ]);
    expect(config.policy.keysFile).toBe("/ek.json");
  });

  it("name the file from the current directory", async () => {
    const cwd = await mkdtemp(join(tmpdir(), "longshore-config-"));
    try {
      await folder.write("other.yaml", "worker: {pool: other}");
      const file = join("..", folder.path.split("/").at(-1) ?? "", "other.yaml");
      const { config, directory } = await loadConfig({ env: {}, cwd, file });
      expect([config.worker.pool, directory]).toEqual(["other", folder.path]);
    } finally {
      await rm(cwd, { recursive: true });
    }
  });
});

describe("precedence, for each key by itself", () => {
  const text =
    "log_level: warn\nworker: {pool: file, id: file, max_queued_jobs: 1, lease_seconds: 1}";

  it("is flag over environment over file over default", async () => {
    const { config, sources } = await folder.load(text, {
      env: { LONGSHORE__WORKER__POOL: "env", LONGSHORE_WORKER_ID: "env", MAX_CONCURRENT_JOBS: "9" },
      flags: { "worker.pool": "flag", "worker.max_queued_jobs": 7, log_level: undefined },
    });
    expect(config.worker).toMatchObject({
      pool: "flag",
      id: "env",
      maxQueuedJobs: 7,
      maxConcurrentJobs: 9,
      leaseSeconds: 1,
      killGraceSeconds: 5,
    });
    expect(config.logLevel).toBe("warn");
    expect(sources).toEqual({
      log_level: "file",
      "worker.pool": "flag",
      "worker.id": "env",
      "worker.max_queued_jobs": "flag",
      "worker.lease_seconds": "file",
      "worker.max_concurrent_jobs": "env",
    });
  });

  it("lets a flag correct what the environment got wrong", async () => {
    const { config } = await loadConfig({
      env: { MAX_CONCURRENT_JOBS: "many" },
      flags: { "worker.max_concurrent_jobs": 3 },
    });
    expect(config.worker.maxConcurrentJobs).toBe(3);
  });

  it("adds a label to those of the file", async () => {
    const { config } = await folder.load("worker: {labels: {zone: a, disk: ssd}}", {
      env: { LONGSHORE__WORKER__LABELS__ZONE: "b" },
      flags: { "worker.labels.rack": "7" },
    });
    expect(config.worker.labels).toEqual({ zone: "b", disk: "ssd", rack: "7" });
  });

  it.each([
    ["home", ["LONGSHORE_HOME"], "/a"],
    ["log_level", ["LONGSHORE_LOG_LEVEL"], "error"],
    ["worker.id", ["LONGSHORE_WORKER_ID", "WORKER_ID", "ATTUNE_WORKER_NAME"], "w-9"],
    ["worker.pool", ["LONGSHORE_WORKER_POOL", "WORKER_POOL"], "gpu"],
    ["worker.max_concurrent_jobs", ["LONGSHORE_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"], "31"],
  ])("of the short names of %s is their order", async (key, names, value) => {
    const weaker: Record<string, string> = {};
    for (const name of names.toReversed()) {
      const { config, sources } = await fromEnv({ ...weaker, [name]: value });
      const { home, logLevel, worker } = config;
      const values = [home, logLevel, worker.id, worker.pool, String(worker.maxConcurrentJobs)];
      expect([name, sources]).toEqual([name, { [key]: "env" }]);
      expect(values).toContain(value);
      weaker[name] = "77";
    }
  });

  it("of variables is short name, LONGSHORE__, WORKER__, in whatever order they come", async () => {
    const all: Record<string, string> = {
      LONGSHORE_WORKER_POOL: "short",
      LONGSHORE__WORKER__POOL: "path",
      WORKER__POOL: "worker",
    };
    const entries = Object.entries(all);
    for (const order of [entries, entries.toReversed()]) {
      const { config } = await fromEnv(Object.fromEntries(order));
      expect(config.worker.pool).toBe("short");
      const { LONGSHORE_WORKER_POOL: _short, ...paths } = Object.fromEntries(order);
      expect((await fromEnv(paths)).config.worker.pool).toBe("path");
    }
  });
});

describe("variables", () => {
  it("of this process are read when no others are given", async () => {
    process.env["LONGSHORE__WORKER__POOL"] = "from-process";
    try {
      expect((await loadConfig()).config.worker.pool).toBe("from-process");
    } finally {
      delete process.env["LONGSHORE__WORKER__POOL"];
    }
  });

  it.each(["", "   ", "\n", undefined])("set to %j count as unset", async (blank) => {
    const { config, sources } = await fromEnv({
      LONGSHORE_WORKER_POOL: blank,
      LONGSHORE__WORKER__LEASE_SECONDS: blank,
      WORKER_POOL: "second",
    });
    expect(config.worker).toMatchObject({ pool: "second", leaseSeconds: 60 });
    expect(sources).toEqual({ "worker.pool": "env" });
  });

  it("are what the key wants: text stays text, other values are read as JSON", async () => {
    const { config } = await fromEnv({
      LONGSHORE__WORKER__POOL: "7",
      WORKER__ID: " 007 ",
      LONGSHORE__WORKER__LABELS__RACK: "true",
      LONGSHORE__WORKER__KILL_GRACE_SECONDS: "2.5",
      LONGSHORE__WORKER__MAX_QUEUED_JOBS: "1e3",
      LONGSHORE__WORKER__TRUST_DECLARED_RUNTIMES: "true",
      LONGSHORE__WORKER__RESULT_RETENTION: "12h",
      LONGSHORE__WORKER__TAINTS: '[{"key":"gpu"}]',
      LONGSHORE__POLICY__ALLOWED_MODES: '["handler","process"]',
      LONGSHORE__POLICY__MAX: '{"cpus":2}',
    });
    expect(config.worker).toMatchObject({
      pool: "7",
      id: "007",
      labels: { rack: "true" },
      killGraceSeconds: 2.5,
      maxQueuedJobs: 1_000,
      trustDeclaredRuntimes: true,
      resultRetention: 43_200,
      taints: [{ key: "gpu", effect: "no_schedule" }],
    });
    expect(config.policy).toMatchObject({ allowedModes: ["handler", "process"], max: { cpus: 2 } });
  });

  it("of others are left alone", async () => {
    const { sources } = await fromEnv({
      LONGSHORE: "1",
      LONGSHORE_OTHER: "1",
      WORKERS__A: "1",
      MY_WORKER__POOL: "x",
    });
    expect(sources).toEqual({});
  });
});

describe("abort", () => {
  it("rejects with the reason", async () => {
    const reason = new Error("enough");
    const file = await folder.write("aborted.yaml", "");
    await expect(loadConfig({ file, env: {}, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });
});

describe("the home", () => {
  it("is the named one, else that of the user", () => {
    expect(defaultHome({ LONGSHORE_HOME: "/data" })).toBe("/data");
    expect(defaultHome({ LONGSHORE_HOME: " " })).toBe(defaultHome({}));
    expect(defaultHome({})).toMatch(/\/longshore$/);
  });
});
