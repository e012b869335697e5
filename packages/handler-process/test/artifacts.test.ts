import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { artifactMatcher } from "../../core/src/command-job/artifact-matcher.ts";
import { artifactPaths, ProcessRunner, script } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

/** A job that runs a script in its artifacts directory. */
function inArtifacts(content: string, artifacts: readonly string[], user?: string) {
  return script(`set -e; cd "$WORKER_ARTIFACTS_DIR"; ${content}`, {
    output: { format: "text", artifacts },
    ...(user !== undefined && { user }),
  });
}

const isRoot = process.getuid?.() === 0;

test("stores what matches, with size and digest", async () => {
  const { outcome, readArtifact } = await runner.run({
    runtime: inArtifacts(
      "mkdir -p r/deep; printf a > r/1.xml; printf bb > r/deep/2.xml; printf c > r/x.txt; : > .hidden.xml",
      ["**/*.xml"],
    ),
  });
  expect(artifactPaths(outcome).toSorted()).toEqual([".hidden.xml", "r/1.xml", "r/deep/2.xml"]);
  const sha256 = createHash("sha256").update("bb").digest("hex");
  expect(outcome.outputs?.artifacts).toContainEqual(
    expect.objectContaining({ path: "r/deep/2.xml", size: 2, sha256 }),
  );
  expect(await readArtifact("r/deep/2.xml")).toBe("bb");
});

test("stores nothing when nothing is asked for", async () => {
  expect(artifactPaths(await runner.succeed({ runtime: inArtifacts(": > a", []) }))).toEqual([]);
});

test("takes the job's other files for none of its artifacts", async () => {
  const runtime = inArtifacts(": > ../outside; : > inside", ["**", "../outside", "/etc/hostname"]);
  expect(artifactPaths(await runner.succeed({ runtime }))).toEqual(["inside"]);
});

test("leaves links, pipes and sockets out", async () => {
  await using other = await ProcessRunner.open();
  await mkdir(join(other.root, "secret"));
  await writeFile(join(other.root, "secret", "key"), "secret");
  const runtime = inArtifacts(
    `ln -s ${other.root}/secret/key link; ln -s ${other.root}/secret dir; mkfifo pipe; : > real`,
    ["**"],
  );
  expect(artifactPaths(await runner.succeed({ runtime }))).toEqual(["real"]);
});

test("does not follow a link that took the place of the directory", async () => {
  await using other = await ProcessRunner.open();
  await writeFile(join(other.root, "key"), "secret");
  const { outcome, error } = await runner.run({
    runtime: inArtifacts(`cd ..; rm -r artifacts; ln -s ${other.root} artifacts`, ["**"]),
  });
  expect(error).toMatchObject({ code: "EXECUTION_ERROR", phase: "output" });
  expect(artifactPaths(outcome)).toEqual([]);
});

test.runIf(isRoot)("does not read for another user what that user may not read", async () => {
  await using other = await ProcessRunner.open();
  await writeFile(join(other.root, "key"), "secret", { mode: 0o600 });
  const { outcome } = await runner.run({
    runtime: inArtifacts(
      `: > own; cd ..; ln -s ${other.root} a2; mv artifacts old; mv a2 artifacts`,
      ["**"],
      "65534",
    ),
  });
  expect(artifactPaths(outcome)).toEqual([]);
});

test("of a job that failed to keep its directory are an error, not a crash", async () => {
  const runtime = inArtifacts("cd ..; rm -r artifacts", ["**"]);
  expect((await runner.fail({ runtime })).code).toBe("IO_ERROR");
});

test("keeps the exit code and output of a job whose artifacts cannot be stored", async () => {
  const { outcome, error } = await runner.run({
    runtime: inArtifacts("echo out; : > 'back\\slash'", ["*"]),
  });
  expect(error?.code).toBe("VALIDATION_ERROR");
  expect(outcome).toMatchObject({ exitCode: 0, stdout: "out\n" });
});

test("ends at the limit of the number of artifacts", async () => {
  const runtime = inArtifacts("touch a b c d", ["*"]);
  const { outcome, error } = await runner.run({ runtime, limits: { maxArtifacts: 3 } });
  expect(error?.code).toBe("LIMIT_EXCEEDED");
  expect(artifactPaths(outcome)).toEqual(["a", "b", "c"]);
});

describe("globs", () => {
  const paths = ["a.txt", "d/b.txt", "d/c.log", "d/e/f.txt"];

  test.each([
    [["*.txt"], ["a.txt"]],
    [["**/*.txt"], ["a.txt", "d/b.txt", "d/e/f.txt"]],
    [["d/**"], ["d/b.txt", "d/c.log", "d/e/f.txt"]],
    [["d/*"], ["d/b.txt", "d/c.log"]],
    [["d"], []],
    [["**"], paths],
    [["**/e/**"], ["d/e/f.txt"]],
    [["a.txt/**"], []],
    [["*.{txt,log}"], ["a.txt"]],
    [["{a.txt,d/{b,c}.*}"], ["a.txt", "d/b.txt", "d/c.log"]],
    [
      ["**", "!**/*.log"],
      ["a.txt", "d/b.txt", "d/e/f.txt"],
    ],
    [
      ["[ab].txt", "?/[!a-b].log"],
      ["a.txt", "d/c.log"],
    ],
    [["!a.txt"], []],
    [["(a).txt", "a+.txt", "A.txt", ".*", "a.tx[t", "{a}.txt"], []],
    [[], []],
  ])("%j match %j", (globs, expected) => {
    expect(paths.filter(artifactMatcher(globs))).toEqual(expected);
  });

  /** The meaning of a glob without braces, as slow and simple as can be. */
  function isNaiveMatch(pattern: readonly string[], names: readonly string[]): boolean {
    const [part, ...rest] = pattern;
    if (part === undefined) return names.length === 0;
    if (part !== "**") {
      const [name, ...others] = names;
      return name !== undefined && isNaiveName(part, name) && isNaiveMatch(rest, others);
    }
    const least = rest.length === 0 ? 1 : 0;
    return (
      names.some((_, index) => index >= least && isNaiveMatch(rest, names.slice(index))) ||
      (names.length >= least && isNaiveMatch(rest, []))
    );
  }

  function isNaiveName(pattern: string, name: string): boolean {
    if (pattern === "") return name === "";
    if (pattern.startsWith("*")) {
      return (
        isNaiveName(pattern.slice(1), name) || (name !== "" && isNaiveName(pattern, name.slice(1)))
      );
    }
    const isFirst = name !== "" && (pattern.startsWith("?") || pattern[0] === name[0]);
    return isFirst && isNaiveName(pattern.slice(1), name.slice(1));
  }

  test("mean the same as a simpler matcher says", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "b", "."), minLength: 1, maxLength: 5 });
    const part = fc.oneof(
      fc.constant("**"),
      fc.string({ unit: fc.constantFrom("a", "b", ".", "*", "?"), minLength: 1, maxLength: 5 }),
    );
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.array(name, { minLength: 1, maxLength: 5 }),
        (pattern, names) => {
          const isMatch = artifactMatcher([pattern.join("/")])(names.join("/"));
          expect(isMatch).toBe(isNaiveMatch(pattern, names));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test.each([
    "*a*a*a*a*a*a*a*a*a*b",
    "**/*a*a*b/**/*a*a*b/**/*a*a*b/**/c",
    "*a*a*/*a*a*/*a*a*/*a*a*b",
    `{a,aa}${"{a,aa}".repeat(6)}b`,
    "+(+(a)*)b",
    `${"[a]*".repeat(60)}b`,
  ])("cannot take for ever: %s", (glob) => {
    const path = Array.from({ length: 4 }, () => "a".repeat(255)).join("/");
    const isMatch = artifactMatcher([glob]);
    const startMs = performance.now();
    expect(isMatch(path)).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  test("with too many alternatives are refused before anything runs", async () => {
    const glob = "{a,b}".repeat(9);
    const { error, outcome } = await runner.run({ runtime: inArtifacts("true", [glob]) });
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", phase: "validation" });
    expect(outcome.exitCode).toBeUndefined();
  });
});
