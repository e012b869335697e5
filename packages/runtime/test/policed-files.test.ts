import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { LongshoreError, type FileWatch, type SandboxFiles } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { policedFiles } from "../src/policy/policed-files.ts";

const refused = new LongshoreError("POLICY_DENIED", "no");

/** One file, which can be packed, unpacked and watched. */
function ownFiles(): Required<SandboxFiles> {
  let content = "content";
  const stat = { type: "file", size: 7, mode: 0o644, modifiedAtMs: 0 } as const;
  const watch: FileWatch = {
    async *[Symbol.asyncIterator]() {
      yield { type: "created", path: "/a" };
    },
    async [Symbol.asyncDispose]() {},
  };
  return {
    read: async () => Buffer.from(content),
    readText: async () => content,
    write: async () => undefined,
    list: async () => [],
    stat: async () => stat,
    mkdir: async () => undefined,
    remove: async () => undefined,
    readStream: () => Readable.from([Buffer.from(content)]),
    packTar: () => Readable.from([Buffer.from(`packed ${content}`)]),
    unpackTar: async (tar) => {
      content = await text(tar);
    },
    watch: async () => watch,
  };
}

async function* bytes(word: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(word);
}

describe("policed files", () => {
  it("ask before each call, also where the answer is a stream", async () => {
    const files = policedFiles(ownFiles(), async () => {
      throw refused;
    });
    const calls: readonly (() => Promise<unknown>)[] = [
      () => files.read("/a"),
      () => files.readText("/a"),
      () => files.write("/a", "x"),
      () => files.list("/"),
      () => files.stat("/a"),
      () => files.mkdir("/b"),
      () => files.remove("/a"),
      async () => text(files.readStream?.("/a") ?? Readable.from([])),
      async () => text(files.packTar?.("/a") ?? Readable.from([])),
      async () => files.unpackTar?.(bytes("x"), "/a"),
      async () => files.watch?.("/a"),
    ];
    for (const call of calls) await expect(call()).rejects.toBe(refused);
  });

  it("do what is allowed, and offer what the container's files offer", async () => {
    const own = ownFiles();
    const files = policedFiles(own, async () => own);
    await files.unpackTar?.(bytes("new"), "/");
    expect(await text(files.readStream?.("/a") ?? Readable.from([]))).toBe("new");
    expect(await text(files.packTar?.("/a") ?? Readable.from([]))).toBe("packed new");
    const watch = await files.watch?.("/");
    expect(await watch?.[Symbol.asyncIterator]().next()).toMatchObject({ value: { path: "/a" } });
    const { packTar: _packTar, watch: _watch, ...fewer } = own;
    expect(Object.keys(policedFiles(fewer, async () => fewer)).toSorted()).toEqual(
      Object.keys(fewer).toSorted(),
    );
  });
});
