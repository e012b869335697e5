import { watch } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isMounted, unmountImage } from "../../src/index.ts";
import { openImageDatabase } from "../../src/store/image-database.ts";
import { layerOf, noise, writeOciImage } from "./oci-image.ts";
import { randomFrom } from "./random-from.ts";
import {
  bundleStoreProcess,
  startStoreProcess,
  type StoreOrder,
  type StoreStep,
} from "./start-store-process.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

const rounds = process.env["LONGSHORE_TEST_SCALE"] === "full" ? 40 : 2;
const seed = Number(process.env["LONGSHORE_TEST_SEED"] ?? 20_261_121);
const image = "localhost/app:big";

let place: StorePlace;
let bundle = "";
let program = "";

beforeAll(async () => {
  bundle = await mkdtemp(join(tmpdir(), "longshore-store-process-"));
  program = await bundleStoreProcess(bundle);
});
afterAll(() => rm(bundle, { recursive: true, force: true }));

beforeEach(async () => {
  place = await storePlace();
  await mkdir(join(place.path, "mnt"));
  // Larger than what is converted in the thread that asked for it, and with chunks enough for several transactions.
  const small = Array.from({ length: 9_000 }, (_, n) => [`small/${n}`, `number ${n}`] as const);
  const layer = layerOf({ large: noise("large", 2_000_000), ...Object.fromEntries(small) });
  await writeOciImage(place.layout, "big", { layers: [layer] });
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

interface Moment {
  readonly steps: readonly StoreStep[];
  readonly options?: StoreOrder["options"];
  /** A change in this directory of the store is the moment */
  readonly directory: string;
  /** Changes before it */
  readonly after?: number;
  /** The kill comes up to so much later */
  readonly withinMs: number;
}

/** Kills a process soon after it has changed something in a directory. @returns how many steps it had done */
async function killAt(moment: Moment, random: ReturnType<typeof randomFrom>): Promise<number> {
  const { steps, options, directory, after = 0, withinMs } = moment;
  const { directory: store } = place;
  await mkdir(join(store, directory), { recursive: true });
  const changed = Promise.withResolvers<void>();
  let changes = 0;
  const watcher = watch(join(store, directory), () => {
    changes += 1;
    if (changes > after) changed.resolve();
  });
  try {
    await using child = startStoreProcess(
      {
        directory: store,
        ...(options !== undefined && { options }),
        steps: [...steps, { do: "wait" }],
      },
      program,
    );
    await Promise.race([changed.promise, child.ended]);
    await delay(random.below(withinMs + 1));
    await child.kill();
    return child.lines.length;
  } finally {
    watcher.close();
  }
}

/**
 * Backing files of loop devices in the place. One is taken back when nobody has its mount any more, and a container that
 * starts elsewhere at that moment has a copy of every mount until it has left its old root.
 */
async function loopFiles(): Promise<readonly string[]> {
  const devices = (await readdir("/sys/block")).filter((name) => name.startsWith("loop"));
  const files = await Promise.all(
    devices.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "")),
  );
  return files.filter((file) => file.startsWith(place.path));
}

/** The next start finds nothing of what was begun, and can do all of it. */
async function expectWhole(options: StoreOrder["options"] = {}): Promise<void> {
  const target = join(place.path, "mnt");
  // What somebody asked to be mounted at a place of their own is theirs.
  if (await isMounted(target)) await unmountImage(target);
  await using store = await place.open(options);
  expect(await place.mounts()).toEqual([]);
  expect(await store.collectGarbage()).toMatchObject({ isDeferred: false });
  expect(await namesIn(place.directory, "ingest")).toEqual([]);
  expect((await store.verify()).problems).toEqual([]);
  using database = openImageDatabase(join(place.directory, "images.db"));
  const known = database.blobs().map(({ blobId }) => blobId);
  expect(await blobsOf(place.directory)).toEqual(known.toSorted());
  if ((await store.listImages()).length === 0) {
    expect(known).toEqual([]);
    expect(database.chunkCount()).toBe(0);
  }
  const id = await pull(store, place.source("big"));
  {
    await using _mount = await store.mount(id, target);
    expect(await readFile(join(target, "small/8999"), "utf8")).toBe("number 8999");
  }
  expect(await place.mounts()).toEqual([]);
  await expect.poll(loopFiles).toEqual([]);
}

describe("a process that is killed", () => {
  const pulling: StoreStep = { do: "pull", image: "" };

  it("while it converts leaves nothing", async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < rounds; round += 1) {
      const steps = [{ ...pulling, image: place.source("big") }];
      const done = await killAt({ steps, directory: "ingest", withinMs: 150 }, random);
      expect(done).toBeLessThanOrEqual(1);
      await expectWhole();
      await forgetAll();
    }
  });

  it("between the data of an image and the image leaves nothing", async () => {
    const random = randomFrom(seed);
    let isBetween = false;
    for (let round = 0; round < rounds; round += 1) {
      const steps = [{ ...pulling, image: place.source("big") }];
      const withinMs = round * 5;
      await killAt({ steps, directory: "blobs/sha256", withinMs }, random);
      isBetween ||= (await blobsOf(place.directory)).length > 0 && (await listed()) === 0;
      await expectWhole();
      await forgetAll();
    }
    // Else the moments are not those that count.
    expect(isBetween).toBe(true);
  });

  it("while it deletes an image lets the next one delete it", async () => {
    const random = randomFrom(seed);
    for (let round = 0; round < rounds; round += 1) {
      const steps: StoreStep[] = [
        { ...pulling, image: place.source("big") },
        { do: "remove", image },
      ];
      // Two files come, and then the first one goes.
      const withinMs = round * 2;
      const done = await killAt({ steps, directory: "blobs/sha256", after: 2, withinMs }, random);
      expect(done).toBeGreaterThanOrEqual(1);
      await expectWhole();
      await forgetAll();
    }
  });

  it.each(["erofs-files", "erofs-loop", "fuse"] as const)(
    "while it mounts by %s leaves no mount and no device",
    async (method) => {
      const random = randomFrom(seed);
      const options = { mountMethods: [method] };
      {
        await using store = await place.open();
        await pull(store, place.source("big"));
      }
      for (let round = 0; round < rounds; round += 1) {
        const mounting: StoreStep[] = [
          { do: "mount", image, target: join(place.path, "mnt") },
          { do: "unmount" },
        ];
        const steps = [...mounting, ...mounting, ...mounting];
        const done = await killAt({ steps, options, directory: "mounts", withinMs: 120 }, random);
        // Else it was not about mounts any more.
        expect(done).toBeLessThanOrEqual(steps.length);
        await expectWhole(options);
      }
    },
  );
});

async function listed(): Promise<number> {
  using database = openImageDatabase(join(place.directory, "images.db"));
  return Promise.resolve(database.images().length);
}

async function forgetAll(): Promise<void> {
  await using store = await place.open();
  for (const { id } of await store.listImages()) await store.removeImage({ image: id });
  await store.collectGarbage();
  expect(await blobsOf(place.directory)).toEqual([]);
}
