import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import {
  findCommand,
  type ExecSession,
  type FileChange,
  type RuntimeClient,
} from "@longshore/core";
import { array, assert, integer, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { nulRecords } from "../../src/runtime/nul-records.ts";
import { openBase, toArray } from "./open-base.ts";

const inotifywait = await findCommand("inotifywait", process.env["PATH"] ?? "");

/** As in an image without inotifywait. */
function withoutInotify(runtime: RuntimeClient): RuntimeClient {
  return {
    ...runtime,
    exec: (request, options) => {
      const [program = "", ...args] = request.cmd;
      const cmd = program === "inotifywait" ? [`/none/${program}`] : [program, ...args];
      return runtime.exec({ ...request, cmd }, options);
    },
  };
}

/** As in an image with nothing but BusyBox. */
function busybox(runtime: RuntimeClient): RuntimeClient {
  const bare = withoutInotify(runtime);
  return {
    ...bare,
    exec: (request, options) => {
      const isTool = !(request.cmd[0] ?? "").startsWith("/none/");
      return bare.exec(
        isTool ? { ...request, cmd: ["busybox", ...request.cmd] } : request,
        options,
      );
    },
  };
}

/** Reads until a change of this kind at this path comes. */
async function until(
  changes: AsyncIterator<FileChange>,
  wanted: FileChange,
): Promise<FileChange | undefined> {
  for (;;) {
    const next = await changes.next();
    if (next.done === true) return undefined;
    if (next.value.type === wanted.type && next.value.path === wanted.path) return next.value;
  }
}

describe.each([
  ["inotifywait", (runtime: RuntimeClient) => runtime],
  ["find and stat", withoutInotify],
  ["BusyBox", busybox],
])("files.watch by %s", (name, wrap) => {
  const options = { intervalMs: 20 };
  const isMissing = name === "inotifywait" && inotifywait === undefined;

  it("tells what is made, changed and removed", async ({ skip }) => {
    skip(isMissing, "inotifywait is missing: install inotify-tools");
    await using host = await openBase({}, wrap);
    await mkdir(host.at("work"));
    await writeFile(host.at("work/old"), "x");
    await using watch = await host.sandbox.files.watch(host.at("work"), options);
    const changes = watch[Symbol.asyncIterator]();
    const odd = host.at("work/a|b\nc");
    await writeFile(odd, "1");
    expect(await until(changes, { type: "created", path: odd })).toBeDefined();
    await writeFile(odd, "22");
    expect(await until(changes, { type: "modified", path: odd })).toBeDefined();
    await chmod(host.at("work/old"), 0o700);
    expect(await until(changes, { type: "modified", path: host.at("work/old") })).toBeDefined();
    await rename(odd, host.at("work/new"));
    expect(await until(changes, { type: "removed", path: odd })).toBeDefined();
    await rm(host.at("work/new"));
    expect(await until(changes, { type: "removed", path: host.at("work/new") })).toBeDefined();
  });

  it("looks below when told so, and only then", async ({ skip }) => {
    skip(isMissing, "inotifywait is missing: install inotify-tools");
    await using host = await openBase({}, wrap);
    const { files } = host.sandbox;
    await mkdir(host.at("work/sub"), { recursive: true });
    await using flat = await files.watch(host.at("work"), options);
    await using deep = await files.watch(host.at("work"), { ...options, recursive: true });
    const flatly = flat[Symbol.asyncIterator]();
    await writeFile(host.at("work/sub/file"), "x");
    expect(
      await until(deep[Symbol.asyncIterator](), {
        type: "created",
        path: host.at("work/sub/file"),
      }),
    ).toBeDefined();
    await writeFile(host.at("work/top"), "x");
    const first = await flatly.next();
    expect(first.value).toEqual({ type: "created", path: host.at("work/top") });
  });

  it("ends quietly when it is disposed, left or aborted, also while it waits", async ({ skip }) => {
    skip(isMissing, "inotifywait is missing: install inotify-tools");
    const sessions: ExecSession[] = [];
    await using host = await openBase({}, (runtime) => {
      const wrapped = wrap(runtime);
      return {
        ...wrapped,
        async exec(request, call) {
          const session = await wrapped.exec(request, call);
          sessions.push(session);
          return session;
        },
      };
    });
    const { files } = host.sandbox;
    const disposed = await files.watch(host.at("etc"), options);
    const waiting = toArray(disposed);
    await disposed[Symbol.asyncDispose]();
    expect(await waiting).toEqual([]);
    const abort = new AbortController();
    const aborted = await files.watch(host.at("etc"), { ...options, signal: abort.signal });
    const idle = toArray(aborted);
    abort.abort();
    expect(await idle).toEqual([]);
    await using left = await files.watch(host.at("etc"), options);
    const leaving = (async () => {
      for await (const _change of left) break;
    })();
    await writeFile(host.at("etc/new"), "x");
    await leaving;
    // No tool goes on.
    await Promise.all(sessions.map(({ exit }) => exit));
    expect(sessions.length).toBeGreaterThan(5);
  });

  it("ends with an error with the sandbox", async ({ skip }) => {
    skip(isMissing, "inotifywait is missing: install inotify-tools");
    await using host = await openBase({}, wrap);
    const watch = await host.sandbox.files.watch(host.at("etc"), options);
    const waiting = toArray(watch);
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: "IO_ERROR" }),
      host.sandbox.remove(),
    ]);
  });

  it("needs something to watch", async ({ skip }) => {
    skip(isMissing, "inotifywait is missing: install inotify-tools");
    await using host = await openBase({}, wrap);
    const { files } = host.sandbox;
    await expect(files.watch(host.at("nothing"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(files.watch(host.at("etc"), { intervalMs: 1 })).rejects.toThrow(RangeError);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(files.watch(host.at("etc"), { signal })).rejects.toBe(reason);
  });
});

describe("nulRecords", () => {
  it("finds every record, however the bytes come in pieces", async () => {
    const records = array(string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "")));
    const sizes = array(integer({ min: 1, max: 7 }), { minLength: 1 });
    const cases: [readonly string[], readonly number[]][] = [];
    assert(property(records, sizes, (...one) => void cases.push(one)));
    for (const [texts, pieces] of cases) {
      const bytes = Buffer.from(texts.map((text) => `${text}\0`).join("") + "begun");
      async function* source(): AsyncGenerator<Uint8Array> {
        for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
          const size = pieces[turn % pieces.length] ?? 1;
          yield bytes.subarray(start, start + size);
          start += size;
        }
      }
      expect(await toArray(nulRecords(source()))).toEqual(texts);
    }
  });

  it("holds no more than its limit", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield Buffer.alloc(1_048_576, "x");
    }
    await expect(toArray(nulRecords(endless()))).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
  });
});
