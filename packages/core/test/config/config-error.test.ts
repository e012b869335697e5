import { execFileSync } from "node:child_process";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadConfig, LongshoreError, type LoadConfigOptions } from "../../src/index.ts";
import { configFolder, type ConfigFolder } from "./config-folder.ts";

let folder: ConfigFolder;
beforeAll(async () => {
  folder = await configFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

async function problemOf(loading: Promise<unknown>): Promise<LongshoreError> {
  const error: unknown = await loading.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof LongshoreError)) throw new Error("loading did not fail", { cause: error });
  expect(error.code).toBe("CONFIG_ERROR");
  return error;
}

/** The issues of a file, each as path and message, without the file's name. */
async function issuesOf(text: string, options?: LoadConfigOptions): Promise<readonly string[]> {
  const { details } = await problemOf(folder.load(text, options));
  const { issues } = details as { issues: readonly { path: string; message: string }[] };
  const file = join(folder.path, "worker.yaml");
  return issues.map(({ path, message }) => `${path}: ${message.replaceAll(file, "FILE")}`);
}

const unknown = (key: string, meant?: string) =>
  `${key}: is not a known key${meant === undefined ? "" : `; did you mean ${meant}?`} (FILE)`;

describe("an unknown key", () => {
  it.each([
    ["wrker: {}", "wrker", "worker"],
    ["Worker: {}", "Worker", "worker"],
    ["loglevel: info", "loglevel", "log_level"],
    ["plugin: []", "plugin", "plugins"],
    ["worker: {lables: {}}", "worker.lables", "worker.labels"],
    ["worker: {max_concurent_jobs: 1}", "worker.max_concurent_jobs", "worker.max_concurrent_jobs"],
    ["worker: {maxConcurrentJobs: 1}", "worker.maxConcurrentJobs", "worker.max_concurrent_jobs"],
    ["worker: {max-queued-jobs: 1}", "worker.max-queued-jobs", "worker.max_queued_jobs"],
    [
      "worker: {capabilities: {runtime: []}}",
      "worker.capabilities.runtime",
      "worker.capabilities.runtimes",
    ],
    [
      "worker: {capabilities: {formats: {disks: []}}}",
      "worker.capabilities.formats.disks",
      "worker.capabilities.formats.disk",
    ],
    [
      "worker: {taints: [{key: a}, {kee: b, key: b}]}",
      "worker.taints[1].kee",
      "worker.taints[1].key",
    ],
    ["policy: {allowed_mode: []}", "policy.allowed_mode", "policy.allowed_modes"],
    [
      "policy: {defaults: {timeout_second: 1}}",
      "policy.defaults.timeout_second",
      "policy.defaults.timeout_seconds",
    ],
    ["policy: {max: {memory: 1, cpu: 1}}", "policy.max.cpu", "policy.max.cpus"],
  ])("that is misspelt names the one that was meant: %s", async (text, key, meant) => {
    expect(await issuesOf(text)).toContain(unknown(key, meant));
  });

  it.each([
    ["pool: gpu", "pool", "worker.pool"],
    ["rule: deny-all", "rule", "policy.rule"],
    ["worker: {plugins: []}", "worker.plugins", undefined],
    ["worker: {allowed_modes: []}", "worker.allowed_modes", "policy.allowed_modes"],
    [
      "timeout_seconds: 1",
      "timeout_seconds",
      "policy.defaults.timeout_seconds or policy.max.timeout_seconds",
    ],
  ])("in the wrong section names the right one: %s", async (text, key, meant) => {
    expect(await issuesOf(text)).toEqual([unknown(key, meant)]);
  });

  it.each([
    ["completely_different: 1", "completely_different"],
    ["worker: {xyzzy: 1}", "worker.xyzzy"],
    ["constructor: 1", "constructor"],
    ["worker: {toString: 1}", "worker.toString"],
    ["unknown:", "unknown"],
    ["worker: {unknown: null}", "worker.unknown"],
  ])("that is like none is refused all the same: %s", async (text, key) => {
    expect(await issuesOf(text)).toEqual([unknown(key)]);
  });

  it("named __proto__ gives no object fields", async () => {
    const flags = { "__proto__.polluted": true, "worker.__proto__.polluted": true };
    const { message } = await problemOf(loadConfig({ env: {}, flags }));
    expect(message).toContain("__proto__: is not a known key");
    expect({}).not.toHaveProperty("polluted");
  });

  it("in a variable or flag names the variable, or that it is a flag", async () => {
    const env = { LONGSHORE__WORKER__POOOL: "x" };
    await expect(loadConfig({ env })).rejects.toThrow(
      "worker.poool: is not a known key; did you mean worker.pool? (LONGSHORE__WORKER__POOOL)",
    );
    const section = { LONGSHORE__WRKER__POOL: "x" };
    await expect(loadConfig({ env: section })).rejects.toThrow(
      "wrker: is not a known key; did you mean worker? (LONGSHORE__WRKER__POOL)",
    );
    await expect(loadConfig({ env: {}, flags: { "worker.poool": 1 } })).rejects.toThrow(
      "worker.poool: is not a known key; did you mean worker.pool? (a flag)",
    );
    await expect(loadConfig({ env: { LONGSHORE__: "1" } })).rejects.toThrow(
      "configuration: is not a known key (LONGSHORE__)",
    );
  });
});

describe("a value of the wrong kind", () => {
  it.each([
    ["worker: 5", "worker: Invalid input: expected object, received number"],
    ["worker: [pool]", "worker: Invalid input: expected object, received array"],
    [
      "log_level: loud",
      'log_level: Invalid option: expected one of "trace"|"debug"|"info"|"warn"|"error"',
    ],
    ["worker: {pool: 7}", "worker.pool: Invalid input: expected string, received number"],
    ["worker: {pool: ''}", "worker.pool: Too small: expected string to have >=1 characters"],
    ["worker: {id: ../x}", "worker.id: expected letters, digits and ._-"],
    [
      "worker: {labels: {rack: 7}}",
      "worker.labels.rack: Invalid input: expected string, received number",
    ],
    ["worker: {labels: [a]}", "worker.labels: Invalid input: expected record, received array"],
    [
      "worker: {taints: [{value: a}]}",
      "worker.taints[0].key: Invalid input: expected string, received undefined",
    ],
    [
      "worker: {taints: [{key: a, effect: evict}]}",
      'worker.taints[0].effect: Invalid option: expected one of "no_schedule"|"prefer_no_schedule"',
    ],
    [
      "worker: {max_concurrent_jobs: '4'}",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "worker: {max_concurrent_jobs: 0}",
      "worker.max_concurrent_jobs: Too small: expected number to be >=1",
    ],
    [
      "worker: {max_concurrent_jobs: 1.5}",
      "worker.max_concurrent_jobs: Invalid input: expected int, received number",
    ],
    [
      "worker: {kill_grace_seconds: -1}",
      "worker.kill_grace_seconds: Too small: expected number to be >=0",
    ],
    [
      "worker: {result_retention: 24 hours}",
      "worker.result_retention: expected seconds, or a time like 24h",
    ],
    [
      "worker: {result_retention: [1]}",
      "worker.result_retention: expected seconds, or a time like 24h",
    ],
    [
      "worker: {capabilities: {runtimes: python}}",
      "worker.capabilities.runtimes: Invalid input: expected array, received string",
    ],
    [
      "worker: {trust_declared_runtimes: yes}",
      "worker.trust_declared_runtimes: Invalid input: expected boolean, received string",
    ],
    [
      "policy: {rule: maybe}",
      'policy.rule: Invalid option: expected one of "allow-all"|"deny-all"',
    ],
    [
      "policy: {allowed_modes: [handler, vm]}",
      'policy.allowed_modes[1]: Invalid option: expected one of "handler"|"process"|"image"|"build"|"sandbox"',
    ],
    ["policy: {defaults: {cpus: 0}}", "policy.defaults.cpus: Too small: expected number to be >0"],
    ["plugins: ./a.mjs", "plugins: Invalid input: expected array, received string"],
    ["plugins: [1]", "plugins[0]: Invalid input: expected string, received number"],
    [
      "transports: [{typ: file}]",
      "transports[0].type: Invalid input: expected string, received undefined",
    ],
    ["transports: [file]", "transports[0]: Invalid input: expected object, received string"],
  ])("is refused by its path: %s", async (text, issue) => {
    expect(await issuesOf(text)).toEqual([`${issue} (FILE)`]);
  });

  it("is told together with every other one", async () => {
    const text = "worker: {pool: 7, lease_seconds: 0}\npolicy: {rules: x}";
    expect(await issuesOf(text)).toHaveLength(3);
    const { message } = await problemOf(folder.load(text));
    expect(message).toBe(
      `worker.pool: Invalid input: expected string, received number (${folder.path}/worker.yaml), and more`,
    );
  });

  it.each([
    [
      "LONGSHORE_MAX_CONCURRENT_JOBS",
      "many",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "4 jobs",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "0x10",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "1,000",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "NaN",
      "worker.max_concurrent_jobs: Invalid input: expected number, received string",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "1e999",
      "worker.max_concurrent_jobs: Invalid input: expected number, received Infinity",
    ],
    [
      "MAX_CONCURRENT_JOBS",
      "-3",
      "worker.max_concurrent_jobs: Too small: expected number to be >=1",
    ],
    [
      "LONGSHORE__WORKER__LEASE_SECONDS",
      "true",
      "worker.lease_seconds: Invalid input: expected number, received boolean",
    ],
    [
      "LONGSHORE__POLICY__REQUIRE_SIGNATURE",
      "1",
      "policy.require_signature: Invalid input: expected boolean, received number",
    ],
    [
      "LONGSHORE__POLICY__ALLOWED_MODES",
      "handler,process",
      "policy.allowed_modes: Invalid input: expected array, received string",
    ],
    [
      "LONGSHORE__POLICY__ALLOWED_MODES",
      "[handler]",
      "policy.allowed_modes: Invalid input: expected array, received string",
    ],
    ["WORKER_ID", "a b", "worker.id: expected letters, digits and ._-"],
  ])("in %s=%s names the variable", async (variable, value, issue) => {
    const file = "worker: {pool: fine}";
    const { message } = await problemOf(folder.load(file, { env: { [variable]: value } }));
    expect(message).toBe(`${issue} (${variable})`);
  });

  it("in a flag says that it is one", async () => {
    const flags = { "worker.max_concurrent_jobs": "4" };
    await expect(loadConfig({ env: {}, flags })).rejects.toThrow(
      "worker.max_concurrent_jobs: Invalid input: expected number, received string (a flag)",
    );
  });
});

describe("a file that cannot be read", () => {
  const reasonOf = async (file: string): Promise<string> => {
    const { message, details } = await problemOf(loadConfig({ file, env: {} }));
    expect(details).toEqual({ file });
    const start = `The configuration ${file} cannot be read: `;
    expect(message.startsWith(start)).toBe(true);
    return message.slice(start.length);
  };

  it("may not be there", async () => {
    expect(await reasonOf(join(folder.path, "absent.yaml"))).toBe("it does not exist");
  });

  it("may be a folder, a device or a pipe, none of which is waited for", async () => {
    const pipe = join(folder.path, "pipe");
    execFileSync("env", ["mkfifo", pipe]);
    for (const file of [folder.path, "/dev/zero", pipe]) {
      expect(await reasonOf(file)).toBe("it is not a file");
    }
  });

  it("may not be for this user", async () => {
    const file = await folder.write("secret.yaml", "");
    await chmod(file, 0);
    // Root may read every file; nobody may not.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) await chmod(folder.path, 0o755);
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(await reasonOf(file)).toBe("this user may not read it");
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it("may be larger than anybody would write it", async () => {
    const file = await folder.write("large.yaml", `# ${"x".repeat(1_048_576)}`);
    expect(await reasonOf(file)).toBe("it has 1048578 bytes; 1048576 are allowed");
  });

  it.each([
    ["a list", "- a", "it is not a map of keys"],
    ["one word", "worker", "it is not a map of keys"],
    ["a number", "7", "it is not a map of keys"],
    ["broken YAML", "worker: {pool: x", "at line 1, column"],
    ["broken JSON", '{"worker": {"pool": "x",,}}', "at line 1, column"],
    ["tabs as indentation", "worker:\n\tpool: x", "line 2"],
    ["a key twice", "worker: {}\nworker: {}", "the key worker is there twice at line 2, column 1"],
    [
      "a number without end",
      "worker: {lease_seconds: .inf}",
      "worker.lease_seconds must be a finite number",
    ],
    ["a prototype", "__proto__: {worker: {pool: x}}", "__proto__ is not allowed as a key"],
    [
      "a prototype inside",
      "worker: {__proto__: {pool: x}}",
      "worker.__proto__ is not allowed as a key",
    ],
    ["two documents", "worker: {}\n---\nworker: {}", "it is more than one document at line 2"],
    ["a tag", "worker: !!js/function 'x'", "at line 1, column 9"],
    ["an anchor that is not there", "worker: *nowhere", "Unresolved alias"],
    ["bytes that are no text", "\u0000\u0001\u0002", ""],
  ])("may have %s", async (_what, text, reason) => {
    expect(await reasonOf(await folder.write("broken.yaml", text))).toContain(reason);
  });
});

describe("a file that was made to do harm", () => {
  it.each([
    ["aliases of aliases, a billion in all", billionLaughs(), "Excessive alias count"],
    ["an alias of what it is in", "a: &a [*a]", "is nested deeper than 64 levels"],
    ["flow lists, each in the other", "[".repeat(100_000), "nested deeper than 64 levels"],
    ["flow maps, each in the other", "{a: ".repeat(100_000), "nested deeper than 64 levels"],
    ["block lists, each in the other", "- ".repeat(100_000), "nested deeper than 64 levels"],
    [
      "JSON lists, each in the other",
      `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
      "nested deeper than 64 levels",
    ],
  ])("by %s is refused at once", async (_what, text, reason) => {
    const startedAt = performance.now();
    const { message } = await problemOf(folder.load(text));
    expect(message).toContain(reason);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it("by very many keys is refused, with few words", async () => {
    const text = Array.from({ length: 50_000 }, (_, count) => `k${count}: 1`).join("\n");
    const startedAt = performance.now();
    const { message } = await problemOf(folder.load(text));
    expect(message.length).toBeLessThan(1_000);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

/** Ten words, in ten lists of lists of lists…: nine lines of text that would be 10⁹ words. */
function billionLaughs(): string {
  const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
  const lines = names.map((name, index) => {
    const inner = index === 0 ? "ha" : `*${names[index - 1] ?? ""}`;
    return `${name}: &${name} [${Array.from({ length: 10 }, () => inner).join(", ")}]`;
  });
  return lines.join("\n");
}
