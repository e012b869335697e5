import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadPlugins, LongshoreError } from "../../src/index.ts";

let from = "";
beforeEach(async () => {
  from = await mkdtemp(join(tmpdir(), "longshore-plugins-"));
});
afterEach(async () => {
  await rm(from, { recursive: true, force: true });
});

/** Writes files below the directory plugins are loaded from. */
async function write(files: Readonly<Record<string, string | object>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(from, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  }
}

const source = (name: string, apiVersion = 1) =>
  `({ name: ${JSON.stringify(name)}, apiVersion: ${apiVersion}, setup() {} })`;
const esm = (name: string) => `export const plugin = ${source(name)};`;

async function namesOf(...specifiers: string[]): Promise<readonly string[]> {
  const plugins = await loadPlugins(specifiers, { from });
  return plugins.map(({ name }) => name);
}

async function problemOf(specifier: string): Promise<string> {
  const error: unknown = await loadPlugins([specifier], { from }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(LongshoreError);
  expect(error).toMatchObject({ code: "PLUGIN_INVALID", details: { plugin: specifier } });
  return error instanceof Error ? error.message : "";
}

describe("by path", () => {
  it("loads modules relative to the directory, absolute, or by URL, in the given order", async () => {
    await write({ "b/two.mjs": esm("two"), "one.mjs": esm("one"), "three.mjs": esm("three") });
    expect(
      await namesOf(
        "./b/two.mjs",
        join(from, "one.mjs"),
        pathToFileURL(join(from, "three.mjs")).href,
      ),
    ).toEqual(["two", "one", "three"]);
  });

  it("takes the export named plugin, else the default one", async () => {
    await write({
      "both.mjs": `${esm("named")} export default ${source("default")};`,
      "default.mjs": `export default ${source("default")};`,
      "common.cjs": `exports.plugin = ${source("common")};`,
      "common-default.cjs": `module.exports = ${source("common default")};`,
    });
    expect(
      await namesOf("./both.mjs", "./default.mjs", "./common.cjs", "./common-default.cjs"),
    ).toEqual(["named", "default", "common", "common default"]);
  });
});

describe("in a process of its own", () => {
  it("loads odd paths, and packages by the conditions that Node was started with", async () => {
    await write({
      "odd #1 100%.mjs": esm("odd"),
      "node_modules/conditional/package.json": {
        type: "module",
        exports: { "acme-source": "./source.js", default: "./built.js" },
      },
      "node_modules/conditional/source.js": esm("source"),
      "node_modules/conditional/built.js": esm("built"),
    });
    const program = `
      import { loadPlugins } from ${JSON.stringify(import.meta.resolve("../../src/index.ts"))};
      const specifiers = ["./odd #1 100%.mjs", "conditional"];
      const plugins = await loadPlugins(specifiers, { from: ${JSON.stringify(from)} });
      console.log(plugins.map(({ name }) => name).join());
    `;
    const run = promisify(execFile);
    const flags = [
      "--input-type=module",
      "--conditions=acme-source",
      "--disable-warning=ExperimentalWarning",
    ];
    const { stdout, stderr } = await run(process.execPath, [...flags, "--eval", program]);
    expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: "odd,source", stderr: "" });
  });
});

describe("by module name", () => {
  const pkg = (name: string, manifest: object, files: Readonly<Record<string, string>>) =>
    write({
      [`node_modules/${name}/package.json`]: { name, type: "module", ...manifest },
      ...Object.fromEntries(
        Object.entries(files).map(([path, content]) => [`node_modules/${name}/${path}`, content]),
      ),
    });

  it("finds packages that can only be imported", async () => {
    await pkg(
      "esm-only",
      { exports: { import: "./dist/main.js" } },
      { "dist/main.js": esm("esm-only") },
    );
    expect(await namesOf("esm-only")).toEqual(["esm-only"]);
  });

  it("takes the import side of a package with two", async () => {
    await pkg(
      "dual",
      { exports: { ".": { require: "./main.cjs", import: "./main.js" } } },
      { "main.js": esm("imported"), "main.cjs": `exports.plugin = ${source("required")};` },
    );
    expect(await namesOf("dual")).toEqual(["imported"]);
  });

  it("finds scoped packages, subpaths and patterns of subpaths", async () => {
    await pkg(
      "@acme/tools",
      { exports: { ".": "./main.js", "./disk": "./disk.js", "./more/*": "./more/*.js" } },
      { "main.js": esm("main"), "disk.js": esm("disk"), "more/tape.js": esm("tape") },
    );
    expect(await namesOf("@acme/tools", "@acme/tools/disk", "@acme/tools/more/tape")).toEqual([
      "main",
      "disk",
      "tape",
    ]);
  });

  it("finds packages without exports, by main or index", async () => {
    await pkg("by-main", { main: "./lib/start.js" }, { "lib/start.js": esm("by-main") });
    await pkg("by-index", {}, { "index.js": esm("by-index") });
    expect(await namesOf("by-main", "by-index", "by-main/lib/start.js")).toEqual([
      "by-main",
      "by-index",
      "by-main",
    ]);
  });

  it("looks in the directories above, and through links as npm workspaces make them", async () => {
    await pkg("above", { exports: "./main.js" }, { "main.js": esm("above") });
    await write({ "packages/linked/package.json": { exports: "./main.js", type: "module" } });
    await write({ "packages/linked/main.js": esm("linked") });
    await symlink("../packages/linked", join(from, "node_modules/linked"));
    const plugins = await loadPlugins(["above", "linked"], { from: join(from, "etc/deep") });
    expect(plugins.map(({ name }) => name)).toEqual(["above", "linked"]);
  });

  it("says how to get a package that is not there", async () => {
    expect(await problemOf("longshore-plugin-nowhere")).toBe(
      `The plugin "longshore-plugin-nowhere" was not found from ${from}; install it there (npm install longshore-plugin-nowhere), or give its path, starting with "./".`,
    );
    expect(await problemOf("@acme")).toContain("was not found");
  });

  it("says what a package does not export, and what was not built", async () => {
    await pkg("partial", { exports: { ".": "./dist/main.js" } }, {});
    expect(await problemOf("partial")).toMatch(/is not complete: .*dist\/main\.js is missing/);
    expect(await problemOf("partial/inner")).toContain('exports no "./inner"');
  });

  it("tells a need of the plugin that is missing from a plugin that is missing", async () => {
    await pkg("needy", { exports: "./main.js" }, { "main.js": `import "absent"; ${esm("needy")}` });
    expect(await problemOf("needy")).toMatch(/"needy" could not be loaded: .*'absent'/);
  });
});

describe("modules that are no plugin", () => {
  it.each([
    ["a file that is not there", undefined, "was not found: there is no file"],
    ["a module that throws", 'throw new Error("no licence");', "could not be loaded: no licence"],
    ["a module with a syntax error", "export const = 1;", "could not be loaded"],
    ["no export", "export const other = 1;", "exports no plugin"],
    ["a function", "export const plugin = () => {};", "exports no plugin"],
    ["no setup", 'export const plugin = { name: "x", apiVersion: 1 };', "exports no plugin"],
    ["no version", 'export const plugin = { name: "x", setup() {} };', "exports no plugin"],
    ["an empty name", `export const plugin = ${source("")};`, "exports no plugin"],
    ["nothing at all", "", "exports no plugin"],
    [
      "a promise of a plugin",
      `export const plugin = Promise.resolve(${source("x")});`,
      "exports no plugin",
    ],
    [
      "needs that are no list",
      `export const plugin = { ...${source("x")}, requires: "disk" };`,
      "exports no plugin",
    ],
    [
      "needs that are no names",
      `export const plugin = { ...${source("x")}, requires: [1] };`,
      "exports no plugin",
    ],
    ["a module that throws no error", 'throw "no licence";', "could not be loaded: no licence"],
  ])("%s", async (_what, content, message) => {
    if (content !== undefined) await write({ "p.mjs": content });
    expect(await problemOf("./p.mjs")).toMatch(new RegExp(`^The plugin "./p.mjs" ${message}`));
  });

  it("made for an older contract: says both versions and the remedy", async () => {
    await write({ "p.mjs": `export const plugin = ${source("old", 0)};` });
    expect(await problemOf("./p.mjs")).toBe(
      'The plugin "./p.mjs" was made for version 0 of the plugin contract; this is version 1. Install a newer release of the plugin.',
    );
  });

  it("made for a newer contract: says both versions and the remedy", async () => {
    await write({ "p.mjs": `export const plugin = ${source("new", 2)};` });
    expect(await problemOf("./p.mjs")).toBe(
      'The plugin "./p.mjs" was made for version 2 of the plugin contract; this is version 1. Update Longshore, or install an older release of the plugin.',
    );
  });
});

describe("abort", () => {
  it("before the start loads nothing", async () => {
    await write({ "p.mjs": "globalThis.wasLoadedByMistake = true;" });
    const reason = new Error("enough");
    await expect(
      loadPlugins(["./p.mjs"], { from, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect(globalThis).not.toHaveProperty("wasLoadedByMistake");
  });

  it("ends the wait for a module that never finishes loading", async () => {
    await write({ "p.mjs": `await new Promise(() => {}); ${esm("never")}` });
    const controller = new AbortController();
    const reason = new Error("enough");
    const loading = loadPlugins(["./p.mjs"], { from, signal: controller.signal });
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
  });
});
