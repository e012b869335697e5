import { LongshoreError } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openImageDatabase, type ImageDatabase } from "../../src/store/image-database.ts";
import { openStoreLayout, type StoreLayout } from "../../src/store/store-layout.ts";
import { storeLayers, type StoredLayer } from "../../src/store/store-layers.ts";
import { storeLayersInThread } from "../../src/store/store-layers-in-thread.ts";
import { tarEntry } from "../tar/tar-blocks.ts";
import { digestOf, layerOf, noise, type MadeLayer } from "./oci-image.ts";
import { blobsOf, namesIn, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let layout: StoreLayout;
let database: ImageDatabase;

beforeEach(async () => {
  place = await storePlace();
  layout = await openStoreLayout(place.directory);
  database = openImageDatabase(layout.databasePath);
});

afterEach(async () => {
  database[Symbol.dispose]();
  await place[Symbol.asyncDispose]();
});

const some = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`f/${n}`, `${n}`]));
const first = layerOf({ large: noise("large", 5_000_000), small: "small" });
const second = layerOf({ ...some, again: noise("large", 5_000_000) });

async function* layersOf(
  layers: readonly MadeLayer[],
  failure?: Error,
): AsyncGenerator<StoredLayer> {
  for (const { tar, diffId = digestOf(tar) } of layers) {
    yield { diffId, mediaType: "", content: piecesOf(tar, failure) };
  }
}

async function* piecesOf(bytes: Buffer, failure: Error | undefined): AsyncGenerator<Buffer> {
  const size = 100_000;
  for (let start = 0; start < bytes.length; start += size) {
    if (failure !== undefined && start > bytes.length / 2) throw failure;
    yield bytes.subarray(start, start + size);
  }
}

const { signal } = new AbortController();

async function expectNothingLeft(): Promise<void> {
  expect(await namesIn(place.directory, "ingest")).toEqual([]);
  expect(await blobsOf(place.directory)).toEqual([]);
  expect(database.blobs()).toEqual([]);
}

describe("layers that are converted in a thread", () => {
  it("come to the same as in this one, with their chunks known", async () => {
    const layers: number[] = [];
    const files = await storeLayersInThread(place.directory, () => layersOf([first, second]), {
      signal,
      onLayer: (layer) => layers.push(layer),
    });
    expect(layers).toEqual([0, 1]);
    expect(await namesIn(place.directory, "ingest")).toEqual([]);
    expect(database.chunkCount()).toBe(files.chunks.storedChunks);
    expect(files.chunks).toMatchObject({ reusedBytes: 5_000_000 });

    await using other = await storePlace();
    const otherLayout = await openStoreLayout(other.directory);
    using otherDatabase = openImageDatabase(otherLayout.databasePath);
    const here = await storeLayers(
      { database: otherDatabase, layout: otherLayout },
      layersOf([first, second]),
      { signal },
    );
    expect(files).toEqual(here);
    expect(await blobsOf(place.directory)).toEqual(await blobsOf(other.directory));
  });

  it("are refused with the same errors, and leave nothing", async () => {
    const outside = {
      tar: Buffer.concat([first.tar.subarray(0, -1_024), tarEntry({ name: "../x" })]),
    };
    const refused = (layers: readonly MadeLayer[]): Promise<unknown> =>
      storeLayersInThread(place.directory, () => layersOf(layers), { signal });
    await expect(refused([outside])).rejects.toMatchObject({
      name: "LongshoreError",
      code: "VALIDATION_ERROR",
      details: { entry: "../x" },
    });
    await expectNothingLeft();
    const diffId = digestOf(Buffer.from("another"));
    await expect(refused([first, { ...second, diffId }])).rejects.toMatchObject({
      name: "LongshoreError",
      code: "IMAGE_CHECKSUM_MISMATCH",
      details: { layer: 1, expected: diffId },
    });
    await expectNothingLeft();
  });

  it("end with what their source fails with", async () => {
    const failure = new LongshoreError("IMAGE_PULL_FAILED", "gone");
    const stored = storeLayersInThread(place.directory, () => layersOf([first], failure), {
      signal,
    });
    await expect(stored).rejects.toBe(failure);
    await expectNothingLeft();
  });

  it("end their source when they are refused, though it waits", async () => {
    const broken = { tar: Buffer.concat([tarEntry({ name: "../x" }), first.tar]) };
    async function* open(feeding: AbortSignal): AsyncGenerator<StoredLayer> {
      yield* layersOf([broken]);
      // A registry that does not answer.
      await new Promise((_, reject) => {
        feeding.addEventListener("abort", () => {
          reject(feeding.reason);
        });
      });
    }
    const stored = storeLayersInThread(place.directory, open, { signal });
    await expect(stored).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await expectNothingLeft();
  });

  it("end with the signal's reason, at whatever point of it", async () => {
    for (const layer of [0, 1]) {
      const controller = new AbortController();
      const reason = new Error("enough");
      const stored = storeLayersInThread(place.directory, () => layersOf([first, second]), {
        signal: controller.signal,
        onLayer: (done) => {
          if (done === layer) controller.abort(reason);
        },
      });
      await expect(stored).rejects.toBe(reason);
      expect(await namesIn(place.directory, "ingest")).toEqual([]);
    }
  });
});
