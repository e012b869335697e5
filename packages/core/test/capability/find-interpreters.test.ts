import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findInterpreters, type Interpreter } from "../../src/index.ts";
import { findCommand } from "../../src/capability/find-command.ts";
import { commandFolder } from "./command-folder.ts";

/** Long enough for any command that ends, however busy the machine */
const timeoutMs = 30_000;
const path = process.env["PATH"] ?? "";

/** What a program of the runtime itself says its version is. */
const ownWords: Readonly<Record<string, readonly string[]>> = {
  shell: ["bash", "-c", 'echo "${BASH_VERSION%%(*}"'],
  python: ["python3", "-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"],
  node: ["node", "-p", "process.versions.node"],
  perl: ["perl", "-e", 'printf "%vd", $^V'],
  ruby: ["ruby", "-e", "print RUBY_VERSION"],
};

describe("the interpreters of this machine", () => {
  it("are found with the version that they themselves know", async () => {
    const found = await findInterpreters({ path, timeoutMs });
    const versions = new Map(found.map(({ name, version }) => [name, version]));
    // A machine that runs these tests has both.
    expect(versions.has("shell") && versions.has("node")).toBe(true);
    for (const [runtime, [command = "", ...args]] of Object.entries(ownWords)) {
      const isThere = (await findCommand(command, path)) !== undefined;
      if (!isThere) continue;
      const version = execFileSync(command, args, { encoding: "utf8", cwd: "/" }).trim();
      expect([runtime, versions.get(runtime)]).toEqual([runtime, version]);
    }
  });

  it("are named by the file that was asked, each runtime once", async () => {
    const found = await findInterpreters({ path, timeoutMs });
    for (const { name, path: file } of found) {
      expect(await findCommand(file, "")).toBe(file);
      expect(found.filter((other) => other.name === name)).toHaveLength(1);
    }
  });
});

describe("what a command says", () => {
  it.each<readonly [command: string, script: string, interpreter: Omit<Interpreter, "path">]>([
    ["bash", "echo 'GNU bash, version 5.2.15(1)-release'", { name: "shell", version: "5.2.15" }],
    ["sh", "echo 'BusyBox v1.36'", { name: "shell" }],
    ["sh", "echo 'Illegal option --' >&2; exit 2", { name: "shell" }],
    ["python3", "echo 'Python 3.11.7'", { name: "python", version: "3.11.7" }],
    ["python", "echo 'Python 2.7.18' >&2", { name: "python", version: "2.7.18" }],
    ["python3", "echo 'Python 3.14.0rc2+'", { name: "python", version: "3.14.0" }],
    ["node", "echo v22.22.1", { name: "node", version: "22.22.1" }],
    ["nodejs", "echo v18.0.0", { name: "node", version: "18.0.0" }],
    ["ruby", "echo 'ruby 3.2.2 (2023-03-30)'", { name: "ruby", version: "3.2.2" }],
    ["go", 'echo "go $1 go1.22 linux/amd64"', { name: "go", version: "1.22" }],
    [
      "java",
      "echo 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2; echo 'openjdk version \"21.0.2\" 2024-01-16' >&2",
      { name: "java", version: "21.0.2" },
    ],
    ["java", "echo 'java version \"1.8.0_392\"' >&2", { name: "java", version: "1.8.0" }],
    ["Rscript", "echo 'Rscript (R) version 4.3.1' >&2", { name: "r", version: "4.3.1" }],
    ["perl", "echo 'This is perl 5, version 36 (v5.36.0)'", { name: "perl", version: "5.36.0" }],
  ])("%s: %s", async (command, script, interpreter) => {
    await using folder = await commandFolder();
    const file = await folder.add(command, script);
    const found = await findInterpreters({ path: folder.path, timeoutMs });
    expect(found).toEqual([{ ...interpreter, path: file }]);
  });
});

describe("a command that is of no use", () => {
  it.each([
    ["fails", "echo 'Python 3.11.7'; exit 1"],
    ["hangs", "exec /bin/sleep 600"],
    ["dies", "kill -9 $$"],
  ])("is left out when it %s, and the next name is asked", async (_what, script) => {
    await using folder = await commandFolder();
    await folder.add("python3", script);
    const second = await folder.add("python", "echo 'Python 3.9.1'");
    const found = await findInterpreters({ path: folder.path, timeoutMs: 2_000 });
    expect(found).toEqual([{ name: "python", path: second, version: "3.9.1" }]);
  });

  it("holds the others up for its own time only", async () => {
    await using folder = await commandFolder();
    for (const command of ["python3", "node", "ruby", "go", "java", "Rscript", "perl"]) {
      await folder.add(command, "exec /bin/sleep 600");
    }
    await folder.add("bash", "exec /bin/sleep 600");
    const startedAt = performance.now();
    const found = await findInterpreters({ path: folder.path, timeoutMs: 300 });
    // A shell that does not tell its version is one all the same.
    expect(found.map(({ name, version }) => [name, version])).toEqual([["shell", undefined]]);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it.each([
    ["garbage", String.raw`printf '\377\000\033[31m no idea \n'`, undefined],
    ["nothing", ":", undefined],
    ["a version behind 5 MB", "/usr/bin/head -c 5000000 /dev/zero; echo 'Python 3.1'", undefined],
    ["a version before 5 MB", "echo 'Python 3.1'; /usr/bin/head -c 5000000 /dev/zero", "3.1"],
    [
      "a version without end",
      "printf 'Python 3'; i=0; while [ $i -lt 2000 ]; do printf .7; i=$((i+1)); done",
      "3.7.7.7.7",
    ],
  ])("has no more than a short version when it prints %s", async (_what, script, version) => {
    await using folder = await commandFolder();
    const file = await folder.add("python3", script);
    const found = await findInterpreters({ path: folder.path, timeoutMs });
    expect(found).toEqual([
      { name: "python", path: file, ...(version !== undefined && { version }) },
    ]);
  });

  it("is passed over when it may not be run, is a folder or comes by a relative path", async () => {
    await using folder = await commandFolder();
    await using later = await commandFolder();
    await folder.add("python3", "echo 'Python 3.1'", 0o644);
    await mkdir(join(folder.path, "node"));
    const python = await later.add("python3", "echo 'Python 3.2'");
    const node = await later.add("node", "echo v3.3");
    const folders = ["", ".", "relative", folder.path, later.path].join(":");
    expect(await findInterpreters({ path: folders, timeoutMs })).toEqual([
      { name: "python", path: python, version: "3.2" },
      { name: "node", path: node, version: "3.3" },
    ]);
  });
});

describe("without commands", () => {
  it.each(["", "/nowhere", "relative:."])("finds nothing in %j", async (nowhere) => {
    expect(await findInterpreters({ path: nowhere })).toEqual([]);
  });
});

describe("abort", () => {
  it("before the start and on the way rejects with the reason", async () => {
    await using folder = await commandFolder();
    await folder.add("python3", "exec /bin/sleep 600");
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    await expect(findInterpreters({ path: folder.path, signal: aborted })).rejects.toBe(reason);
    const controller = new AbortController();
    const finding = findInterpreters({ path: folder.path, timeoutMs, signal: controller.signal });
    controller.abort(reason);
    await expect(finding).rejects.toBe(reason);
  });
});
