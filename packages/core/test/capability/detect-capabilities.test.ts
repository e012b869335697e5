import { describe, expect, it } from "vitest";
import {
  detectCapabilities,
  echoHandler,
  handlerRegistry,
  type CapabilityReport,
  type DetectOptions,
} from "../../src/index.ts";
import { commandFolder } from "./command-folder.ts";

const handlers = handlerRegistry();
handlers.register(echoHandler);

interface Machine {
  readonly env?: Readonly<Record<string, string>>;
  readonly declared?: DetectOptions["declared"];
  readonly trustDeclaredRuntimes?: boolean;
}

/** Looks at a machine that has bash, Python 3.11 and git. */
async function detect({ env, ...options }: Machine = {}): Promise<CapabilityReport> {
  await using folder = await commandFolder();
  await folder.add("bash", "echo 'GNU bash, version 5.2.15(1)-release'");
  await folder.add("python3", "echo 'Python 3.11.7'");
  await folder.add("git", ":");
  return await detectCapabilities({
    handlers,
    maxConcurrentJobs: 4,
    timeoutMs: 20_000,
    env: { ...env, PATH: folder.path },
    ...options,
  });
}

const unverified = (name: string, source: string, isTrusted = false) =>
  `runtime ${name} (from ${source}) was not found on this machine${isTrusted ? "" : "; it is not advertised"}`;

describe("without environment and configuration", () => {
  it("everything is what is found", async () => {
    const { capabilities, sources, runtimes, warnings } = await detect();
    expect(capabilities.runtimes).toEqual(["native", "shell", "python"]);
    expect(capabilities.runtimeVersions).toEqual({ shell: ["5.2.15"], python: ["3.11.7"] });
    expect(capabilities.interpreters.map(({ name }) => name)).toEqual(["shell", "python"]);
    expect(capabilities.features).toContain("git");
    expect(capabilities.operations).toEqual(["system.echo", "test.echo"]);
    expect(capabilities.limits.maxConcurrentJobs).toBe(4);
    expect(new Set(Object.values(sources))).toEqual(new Set(["detection"]));
    expect(runtimes.every(({ verified }) => verified)).toBe(true);
    expect(warnings).toEqual([]);
  });

  it("a machine without interpreters has a shell, and runs programs", async () => {
    const { capabilities } = await detectCapabilities({
      handlers,
      maxConcurrentJobs: 1,
      env: { PATH: "/nowhere" },
    });
    expect(capabilities.runtimes).toEqual(["native", "shell"]);
    expect(capabilities.interpreters).toEqual([]);
  });

  it("is about this process when nothing else is said", async () => {
    const { capabilities } = await detectCapabilities({ handlers, maxConcurrentJobs: 1 });
    expect(capabilities.runtimes).toContain("node");
    expect(capabilities.privileged).toBe(process.getuid?.() === 0);
    expect(capabilities.limits.memoryMb).toBeGreaterThan(64);
  });
});

describe("precedence, for each key by itself", () => {
  const declared = { runtimes: ["python"], features: ["gpu-driver"] };

  it("puts the configuration over what is found", async () => {
    const { capabilities, sources } = await detect({ declared });
    expect(capabilities).toMatchObject(declared);
    expect(sources).toMatchObject({
      runtimes: "config",
      features: "config",
      interpreters: "detection",
      formats: "detection",
    });
  });

  it("puts the environment over both", async () => {
    const { capabilities, sources } = await detect({ declared, env: { WORKER_RUNTIMES: "shell" } });
    expect(capabilities).toMatchObject({ runtimes: ["shell"], features: ["gpu-driver"] });
    expect(sources).toMatchObject({ runtimes: "env", features: "config" });
  });

  it.each([
    ["formats", { disk: ["raw"] }],
    ["interpreters", [{ name: "python", path: "/opt/python", version: "3.14.0" }]],
    ["runtimeVersions", { python: ["3.14.0"] }],
    ["features", []],
    ["sandboxBackends", [{ name: "runc", available: true, priority: 1, autoSelectable: true }]],
    ["devices", { gpu: [{ vendor: "nvidia", model: "L4", memoryMb: 24_576 }] }],
    ["privileged", true],
    ["dataLocality", ["site-a"]],
    ["extra", { rack: 7 }],
  ])("takes %s from the configuration, and nothing else", async (key, value) => {
    const found = await detect();
    const { capabilities, sources } = await detect({ declared: { [key]: value } });
    expect(capabilities).toMatchObject({ [key]: value });
    expect(sources).toEqual({ ...found.sources, [key]: "config" });
    // An interpreter that is declared is what its runtime and version are known by.
    const follows = new Set(key === "interpreters" ? ["runtimes", "runtimeVersions"] : []);
    for (const [other, was] of Object.entries(found.capabilities)) {
      if (other === key || other === "interpreters" || follows.has(other)) continue;
      expect(capabilities).toHaveProperty(other, was);
    }
  });

  it("takes each limit by itself, and never the number of jobs", async () => {
    const found = await detect();
    const { capabilities } = await detect({ declared: { limits: { maxDiskSizeGb: 100 } } });
    expect(capabilities.limits).toEqual({ ...found.capabilities.limits, maxDiskSizeGb: 100 });
  });

  it("takes no fact from the configuration", async () => {
    const found = await detect();
    const facts = {
      operations: ["no.such"],
      workerVersion: "99.0.0",
      protocolVersions: ["9.0"],
      limits: { maxConcurrentJobs: 1_000 },
    };
    const { capabilities } = await detect({ declared: facts as object });
    expect(capabilities).toEqual({
      ...found.capabilities,
      interpreters: capabilities.interpreters,
    });
  });

  it("counts undefined as not said", async () => {
    const said = { runtimes: undefined, features: undefined, limits: undefined, extra: undefined };
    const found = await detect();
    const report = await detect({ declared: said });
    expect(report.sources).toEqual(found.sources);
    expect(report.capabilities.extra).toEqual({});
    expect(report.capabilities.runtimes).toEqual(found.capabilities.runtimes);
  });
});

describe("the list in the environment", () => {
  it.each([
    ["is trimmed, in any case, without empty entries", " Shell ,, PYTHON,", ["shell", "python"]],
    ["knows the other names of a runtime, each once", "bash,sh,python3", ["shell", "python"]],
    ["has one entry", "python", ["python"]],
    ["is empty on purpose", "none", []],
    ["is empty on purpose, in any case", " None ", []],
  ])("%s: %j", async (_what, text, runtimes) => {
    const { capabilities, warnings } = await detect({ env: { WORKER_RUNTIMES: text } });
    expect(capabilities.runtimes).toEqual(runtimes);
    expect(warnings).toEqual([]);
  });

  it("is the first of its three names that says something", async () => {
    const env = {
      LONGSHORE_WORKER_RUNTIMES: "python",
      WORKER_RUNTIMES: "shell",
      ATTUNE_WORKER_RUNTIMES: "native",
    };
    const { LONGSHORE_WORKER_RUNTIMES: _first, ...second } = env;
    const { WORKER_RUNTIMES: _second, ...third } = second;
    const blank = { ...env, LONGSHORE_WORKER_RUNTIMES: " " };
    const lists = [];
    for (const one of [env, second, third, blank]) {
      const { capabilities } = await detect({ env: one });
      lists.push(capabilities.runtimes);
    }
    expect(lists).toEqual([["python"], ["shell"], ["native"], ["shell"]]);
  });
});

describe("a runtime that is declared and not found", () => {
  it.each([
    ["env", { env: { WORKER_RUNTIMES: "python,ruby" } }],
    ["config", { declared: { runtimes: ["python", "Ruby"] } }],
  ] as const)("in %s is shown as not verified, and not advertised", async (source, machine) => {
    const { capabilities, runtimes, warnings } = await detect(machine);
    expect(runtimes).toEqual([
      { name: "python", source, verified: true },
      { name: "ruby", source, verified: false },
    ]);
    expect(capabilities.runtimes).toEqual(["python"]);
    expect(warnings).toEqual([unverified("ruby", source)]);
  });

  it("is advertised when the operator is to be trusted", async () => {
    const { capabilities, runtimes, warnings } = await detect({
      env: { WORKER_RUNTIMES: "ruby,python" },
      trustDeclaredRuntimes: true,
    });
    expect(capabilities.runtimes).toEqual(["ruby", "python"]);
    expect(runtimes).toContainEqual({ name: "ruby", source: "env", verified: false });
    expect(warnings).toEqual([unverified("ruby", "env", true)]);
  });

  it("is verified by an interpreter that is declared, too", async () => {
    const interpreters = [{ name: "ruby", path: "/opt/ruby/bin/ruby", version: "3.3.0" }];
    const { capabilities, runtimes } = await detect({
      declared: { runtimes: ["ruby", "python"], interpreters },
    });
    expect(runtimes.map(({ name, verified }) => [name, verified])).toEqual([
      ["ruby", true],
      ["python", false],
    ]);
    expect(capabilities.runtimeVersions).toEqual({ ruby: ["3.3.0"] });
  });

  it("may be native, which every machine has", async () => {
    const { capabilities } = await detect({ env: { WORKER_RUNTIMES: "standalone,builtin" } });
    expect(capabilities.runtimes).toEqual(["native"]);
  });
});

describe("F15: the environment and the other capabilities", () => {
  it("F15: a list of runtimes in the environment takes no other capability away", async () => {
    const declared = {
      features: ["gpu-driver"],
      formats: { disk: ["raw"] },
      dataLocality: ["site-a"],
      extra: { rack: 7 },
    };
    const without = await detect({ declared });
    const { capabilities } = await detect({ declared, env: { ATTUNE_WORKER_RUNTIMES: "shell" } });
    const { runtimes: _runtimes, interpreters: _before, ...others } = without.capabilities;
    expect(others).toMatchObject(declared);
    expect(capabilities).toMatchObject(others);
    expect(capabilities.runtimes).toEqual(["shell"]);
    expect(capabilities.interpreters.map(({ name }) => name)).toEqual(["shell", "python"]);
  });

  it.each(["", "   ", ",", " , ,"])(
    "F15: a variable that is set to %j leaves the runtimes as they are, and says so",
    async (blank) => {
      const found = await detect();
      const { capabilities, sources, warnings } = await detect({
        env: { ATTUNE_WORKER_RUNTIMES: blank },
      });
      expect(capabilities.runtimes).toEqual(found.capabilities.runtimes);
      expect(capabilities.runtimes).not.toEqual([]);
      expect(sources.runtimes).toBe("detection");
      expect(warnings).toEqual([
        'ATTUNE_WORKER_RUNTIMES is set but blank; it is ignored (use "none" for no runtimes)',
      ]);
    },
  );
});

describe("abort", () => {
  it("rejects with the reason", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(detectCapabilities({ handlers, maxConcurrentJobs: 1, signal })).rejects.toBe(
      reason,
    );
  });
});
