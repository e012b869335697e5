import { createHash } from "node:crypto";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fetchLayers, type ScratchFile } from "../../src/convert/fetch-layers.ts";
import type { ImageSource } from "../../src/registry/image-source.ts";
import type { Descriptor } from "../../src/registry/manifest.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-layers-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

let scratchCount = 0;
async function createScratch(): Promise<ScratchFile> {
  scratchCount += 1;
  const path = join(directory, String(scratchCount));
  const file = await open(path, "wx+");
  return {
    file,
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(path);
    },
  };
}

const contents = ["first", "second", "third", "fourth"].map((word) => word.repeat(100_000));
const layers = contents.map((text): Descriptor => ({
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
  size: text.length,
}));

/** A source whose blobs come when the test lets them. */
function controlledSource() {
  const started: number[] = [];
  const gates = layers.map(() => Promise.withResolvers<void>());
  const source = {
    async *openBlob(
      { digest }: Descriptor,
      { signal }: { signal?: AbortSignal } = {},
    ): AsyncGenerator<Buffer> {
      const number = layers.findIndex((layer) => layer.digest === digest);
      signal?.throwIfAborted();
      started.push(number);
      const aborted = new Promise<never>((_resolve, reject) => {
        signal?.addEventListener("abort", () => {
          reject(signal.reason as Error);
        });
      });
      await Promise.race([gates[number]?.promise, aborted]);
      const bytes = Buffer.from(contents[number] ?? "");
      yield bytes.subarray(0, 10);
      yield bytes.subarray(10);
    },
  } as Pick<ImageSource, "openBlob"> as ImageSource;
  return { source, started, gates };
}

async function textOf(layer: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const bytes of layer) parts.push(bytes);
  return Buffer.concat(parts).toString();
}

describe("fetchLayers", () => {
  it("gives the layers in order, whatever order they arrive in", async () => {
    const { source, gates } = controlledSource();
    for (const gate of gates.toReversed()) gate.resolve();
    const received = new Map<number, number>();
    const signal = new AbortController().signal;
    const found: string[] = [];
    for await (const layer of fetchLayers(source, layers, {
      signal,
      createScratch,
      onReceived: (layerNumber, bytes) => received.set(layerNumber, bytes),
    })) {
      found.push(await textOf(layer));
    }
    expect(found).toEqual(contents);
    expect([...received.values()]).toHaveLength(4);
    expect(received.get(3)).toBe(contents[3]?.length);
    expect(await readdir(directory)).toEqual([]);
  });

  it("fetches the next layers while the first is read", async () => {
    const { source, started, gates } = controlledSource();
    const signal = new AbortController().signal;
    const fetching = fetchLayers(source, layers, { signal, createScratch });
    const first = await fetching.next();
    expect(first.done).toBe(false);
    const reading = textOf(first.value ?? (async function* none() {})());
    await expect.poll(() => started.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    for (const gate of gates) gate.resolve();
    expect(await reading).toBe(contents[0]);
    await fetching.return();
    expect(await readdir(directory)).toEqual([]);
  });

  it("streams a layer through whose turn comes before its fetch", async () => {
    const { source, gates } = controlledSource();
    for (const gate of gates) gate.resolve();
    const signal = new AbortController().signal;
    const before = scratchCount;
    const found: string[] = [];
    for await (const layer of fetchLayers(source, layers, { signal, createScratch, parallel: 1 })) {
      found.push(await textOf(layer));
    }
    expect(found).toEqual(contents);
    expect(scratchCount).toBe(before);
  });

  it("ends all fetches, and leaves nothing, when one fails or the caller aborts", async () => {
    const { source, gates, started } = controlledSource();
    const controller = new AbortController();
    const fetching = fetchLayers(source, layers, { signal: controller.signal, createScratch });
    const first = await fetching.next();
    await expect.poll(() => started).toContain(1);
    gates[1]?.reject(new Error("connection lost"));
    gates[0]?.resolve();
    await textOf(first.value ?? (async function* none() {})());
    await expect(fetching.next()).rejects.toThrow("connection lost");
    expect(await readdir(directory)).toEqual([]);

    const other = controlledSource();
    const aborted = fetchLayers(other.source, layers, { signal: controller.signal, createScratch });
    const layer = await aborted.next();
    controller.abort(new Error("no longer wanted"));
    await expect(textOf(layer.value ?? (async function* none() {})())).rejects.toThrow(
      "no longer wanted",
    );
    await aborted.return();
    expect(await readdir(directory)).toEqual([]);
  });
});
