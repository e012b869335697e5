import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { PassThrough, Readable } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assertArtifactPath } from "../../src/handler/artifact-path.ts";
import {
  artifactWriter,
  partialArtifactsDir,
  type ArtifactWriterOptions,
} from "../../src/handler/artifact-writer.ts";
import type { ArtifactSource } from "../../src/index.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "longshore-artifacts-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const writer = (options: Partial<ArtifactWriterOptions> = {}) =>
  artifactWriter(root, "job-1", { workerId: "w1", ...options });
const stored = (path: string) => readFile(join(root, "job-1", path), "utf8");
const halfWritten = (): readonly string[] => {
  const directory = partialArtifactsDir(root, "w1");
  return existsSync(directory) ? readdirSync(directory) : [];
};
const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");

describe("sources", () => {
  async function* generated() {
    yield "hello ";
    yield Buffer.from("wörld");
  }
  const sources: readonly [string, () => ArtifactSource][] = [
    ["text", () => "hello wörld"],
    ["bytes", () => new TextEncoder().encode("hello wörld")],
    ["a stream", () => Readable.from(["hello ", "wörld"])],
    ["an async iterable", generated],
    ["a web stream", () => new Blob(["hello wörld"]).stream()],
  ];

  it.each(sources)("may be %s", async (_what, source) => {
    const artifact = await writer().write("out/greeting.txt", source());
    expect(artifact).toEqual({
      path: "out/greeting.txt",
      size: 12,
      sha256: sha256("hello wörld"),
      mediaType: "text/plain",
    });
    expect(await stored("out/greeting.txt")).toBe("hello wörld");
  });

  it("may be empty", async () => {
    const artifact = await writer().write("empty", "");
    expect(artifact).toEqual({ path: "empty", size: 0, sha256: sha256("") });
    expect(await stored("empty")).toBe("");
  });

  it("are streamed: a big one is not held in memory", async () => {
    const chunk = Buffer.alloc(1_048_576, 7);
    let ahead = 0;
    let most = 0;
    async function* chunks() {
      for (let index = 0; index < 64; index += 1) {
        ahead += 1;
        most = Math.max(most, ahead);
        yield chunk;
        ahead -= 1;
      }
    }
    const { size } = await writer().write("big.bin", chunks());
    expect(size).toBe(64 * 1_048_576);
    expect(most).toBe(1);
  });

  it("that fail leave nothing behind", async () => {
    const failure = new Error("unplugged");
    async function* broken() {
      yield "first half";
      throw failure;
    }
    const artifacts = writer();
    await expect(artifacts.write("a.txt", broken())).rejects.toMatchObject({
      code: "IO_ERROR",
      cause: failure,
    });
    expect(existsSync(join(root, "job-1", "a.txt"))).toBe(false);
    expect(halfWritten()).toEqual([]);
    expect(artifacts.list()).toEqual([]);
  });

  it("that are none are refused", async () => {
    const wrong: unknown = { no: "source" };
    await expect(writer().write("a.txt", wrong as ArtifactSource)).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    expect(halfWritten()).toEqual([]);
  });
});

describe("paths", () => {
  it.each([
    "",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\\b",
    "..\\x",
    "\ud800",
    "x".repeat(1_025),
  ])("cannot be %j", async (path) => {
    await expect(writer().write(path, "x")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(readdirSync(root)).toEqual([]);
  });

  it.each(["a", "a/b/c.txt", "...", ".hidden", "a b/ü.txt", "-rf", "~", "$HOME", "x.tmp"])(
    "can be %j",
    async (path) => {
      await writer().write(path, "x");
      expect(await stored(path)).toBe("x");
    },
  );

  it("never lead out of the job's directory", () => {
    const part = fc.oneof(
      fc.constantFrom("..", ".", "", "/", "\\", "\0", "a", "../..", "~"),
      fc.string({ unit: "binary", maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.constantFrom("/", ""), (parts, glue) => {
        const path = parts.join(glue);
        try {
          assertArtifactPath(path);
        } catch {
          return;
        }
        const inside = relative("/data/job", resolve("/data/job", path));
        expect(inside).toBe(path);
        expect(inside).not.toMatch(/^(\.\.(\/|$)|\/|$)/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("do not go through links", async () => {
    const outside = join(root, "outside");
    await mkdir(outside);
    await mkdir(join(root, "job-1"));
    await symlink(outside, join(root, "job-1", "link"));
    await expect(writer().write("link/a.txt", "x")).rejects.toMatchObject({ code: "IO_ERROR" });
    await symlink(outside, join(root, "job-2"));
    const other = artifactWriter(root, "job-2", { workerId: "w1" });
    await expect(other.write("a.txt", "x")).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(readdirSync(outside)).toEqual([]);
    expect(halfWritten()).toEqual([]);
  });

  it("that name a link replace the link, not what it shows to", async () => {
    const precious = join(root, "precious.txt");
    await writeFile(precious, "keep me");
    await mkdir(join(root, "job-1"));
    await symlink(precious, join(root, "job-1", "a.txt"));
    await writer().write("a.txt", "new");
    expect(await readFile(precious, "utf8")).toBe("keep me");
    expect(await stored("a.txt")).toBe("new");
  });

  it("that name a directory are refused", async () => {
    const artifacts = writer();
    await artifacts.write("a/b.txt", "x");
    await expect(artifacts.write("a", "x")).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(artifacts.write("a/b.txt/c", "x")).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(artifacts.list().map(({ path }) => path)).toEqual(["a/b.txt"]);
    expect(halfWritten()).toEqual([]);
  });
});

describe("the same path twice", () => {
  it("replaces the file and is listed once, where it was first", async () => {
    const artifacts = writer();
    await artifacts.write("a.txt", "one");
    await artifacts.write("b.txt", "two");
    await artifacts.write("a.txt", "three");
    expect(artifacts.list()).toMatchObject([
      { path: "a.txt", size: 5, sha256: sha256("three") },
      { path: "b.txt" },
    ]);
    expect(await stored("a.txt")).toBe("three");
  });

  it("is refused while the first is still being written", async () => {
    const artifacts = writer();
    const source = new PassThrough();
    const first = artifacts.write("a.txt", source);
    await expect(artifacts.write("a.txt", "second")).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    source.end("first");
    await first;
    expect(await stored("a.txt")).toBe("first");
  });
});

describe("limits", () => {
  it("count bytes while they come, and leave nothing of what was too much", async () => {
    const artifacts = writer({ maxArtifactBytes: 10 });
    await artifacts.write("a.txt", "12345");
    await expect(artifacts.write("b.txt", Readable.from(["123", "456"]))).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
      details: { maxArtifactBytes: 10 },
    });
    expect(existsSync(join(root, "job-1", "b.txt"))).toBe(false);
    expect(halfWritten()).toEqual([]);
    await artifacts.write("c.txt", "12345");
    expect(artifacts.list()).toHaveLength(2);
  });

  it("end an endless source", async () => {
    async function* endless() {
      for (;;) yield Buffer.alloc(65_536);
    }
    await expect(
      writer({ maxArtifactBytes: 1_000_000 }).write("a", endless()),
    ).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });

  it("give back the bytes of a file that is replaced", async () => {
    const artifacts = writer({ maxArtifactBytes: 10 });
    for (const content of ["12345", "23456", "34567", "45678"]) {
      await artifacts.write("a.txt", content);
    }
    await artifacts.write("b.txt", "12345");
    await expect(artifacts.write("c.txt", "1")).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });

  it("count artifacts, those under way too", async () => {
    const artifacts = writer({ maxArtifacts: 2 });
    const outcomes = await Promise.allSettled(
      ["a", "b", "c", "d"].map((path) => artifacts.write(path, path)),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    await artifacts.write("a", "again");
    await expect(artifacts.write("e", "e")).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});

describe("abort", () => {
  it("ends a write that waits for its source, with the reason itself", async () => {
    const controller = new AbortController();
    const source = new PassThrough();
    const writing = writer().write("a.txt", source, { signal: controller.signal });
    source.write("first half");
    await vi.waitFor(() => expect(halfWritten()).toHaveLength(1), { timeout: 20_000 });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(writing).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    expect(existsSync(join(root, "job-1"))).toBe(false);
    expect(halfWritten()).toEqual([]);
  });

  it("before the start touches nothing", async () => {
    const reason = new Error("enough");
    await expect(writer().write("a.txt", "x", { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    expect(readdirSync(root)).toEqual([]);
  });
});

describe("media type", () => {
  it("is guessed from the extension, or given", async () => {
    const artifacts = writer();
    await artifacts.write("DATA.JSON", "{}");
    await artifacts.write("strange.xyz", "x");
    await artifacts.write("table.txt", "a;b", { mediaType: "text/csv; charset=utf-8" });
    expect(artifacts.list().map(({ mediaType }) => mediaType)).toEqual([
      "application/json",
      undefined,
      "text/csv; charset=utf-8",
    ]);
  });

  it.each(["text", "text/html\r\nSet-Cookie: a=b", "a/b/c", "", `a/${"b".repeat(500)}`])(
    "cannot be %j",
    async (mediaType) => {
      await expect(writer().write("a.txt", "x", { mediaType })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    },
  );
});
