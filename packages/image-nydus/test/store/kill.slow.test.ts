import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Rootfs } from "@longshore/core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { isMounted, unmountImage, type NydusImageStore } from "../../src/index.ts";
import { digestOf, layerOf, noise, writeOciImage } from "./oci-image.ts";
import { randomFrom, type Random } from "./random-from.ts";
import { bundleStoreProcess, startStoreProcess, type StoreStep } from "./start-store-process.ts";
import { namesIn, storePlace, type StorePlace } from "./store-place.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const rounds = isFull ? 150 : 10;
const seed = Number(process.env["LONGSHORE_TEST_SEED"] ?? 20_261_121);
const tags = ["one", "two", "three"] as const;
const owners: readonly string[] = ["a", "b", "c"];
/** Of the files of each image, by tag */
const digests = new Map<string, ReadonlyMap<string, string>>();
const ids = new Map<string, string>();

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
  // Small enough to be converted at once: the start of a thread would be most of each process.
  const shared = noise("shared", 250_000);
  for (const tag of tags) {
    const files = { shared, [`${tag}/big`]: noise(tag, 600_000), [`${tag}/small`]: tag };
    const many = Array.from({ length: 400 }, (_, n) => [`many/${n}`, `${tag} ${n}`] as const);
    const layers = [layerOf(files), layerOf(Object.fromEntries(many))];
    const { id } = await writeOciImage(place.layout, tag, { layers, config: { author: tag } });
    ids.set(tag, id);
    const all = Object.entries({ ...files, ...Object.fromEntries(many) });
    digests.set(tag, new Map(all.map(([name, bytes]) => [name, digestOf(Buffer.from(bytes))])));
  }
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const imageOf = (tag: string): string => `localhost/app:${tag}`;

/** What a process is told to do until it is killed. */
function randomSteps(random: Random): readonly StoreStep[] {
  const steps: StoreStep[] = [{ do: "list" }];
  for (let count = 0; count < 200; count += 1) {
    const tag = random.pick(tags);
    // Each owner keeps to one image: what it holds of it may be from a process before.
    const at = random.below(owners.length);
    const owner = owners[at] ?? "a";
    const image = imageOf(tags[at] ?? "one");
    const pullOwn: StoreStep = { do: "pull", image: place.source(tags[at] ?? "one") };
    const accept = [random.pick(["directory", "overlay"] as const)];
    const choices: readonly (readonly StoreStep[])[] = [
      [{ do: "pull", image: place.source(tag) }],
      [{ do: "remove", image: imageOf(tag) }],
      [{ do: "collect" }],
      [pullOwn, { do: "prepare", image, owner, options: { accept }, write: "mine" }],
      [{ do: "release", owner }],
      [pullOwn, { do: "mount", image, target: join(place.path, "mnt") }, { do: "unmount" }],
    ];
    steps.push(...random.pick(choices));
  }
  return steps;
}

/** Everything that holds of a store, whatever happened to those who used it. */
async function assertClean(store: NydusImageStore): Promise<void> {
  expect(await place.mounts()).toEqual([]);
  expect(await namesIn(place.directory, "mounts/images")).toEqual([]);
  expect(await namesIn(place.directory, "mounts/mounts")).toEqual([]);
  expect(await store.collectGarbage()).toMatchObject({ isDeferred: false });
  expect(await namesIn(place.directory, "ingest")).toEqual([]);
  expect((await store.verify()).problems).toEqual([]);
  const images = await store.listImages();
  const listed = images.flatMap(({ repoTags }) => repoTags.map((name) => name.split(":")[1]));
  expect(await namesIn(place.directory, "refs/localhost/app")).toEqual(
    listed.toSorted((a, b) => ((a ?? "") < (b ?? "") ? -1 : 1)),
  );
  for (const tag of tags.filter((name) => listed.includes(name))) await assertComplete(store, tag);
}

async function assertComplete(store: NydusImageStore, tag: string): Promise<void> {
  const prepared = await store.prepareRootfs(imageOf(tag), `check-${tag}`, { readonly: true });
  const { rootfs } = prepared;
  const root = rootfs.kind === "overlay" ? (rootfs.lower[0] ?? "") : "";
  const expected = digests.get(tag) ?? new Map<string, string>();
  for (const [name, digest] of expected) {
    expect(digestOf(await readFile(join(root, name))), name).toBe(digest);
  }
  expect(await readdir(join(root, "many"))).toHaveLength(400);
  await prepared[Symbol.asyncDispose]();
}

function writablePath(rootfs: Rootfs): string {
  if (rootfs.kind === "directory") return rootfs.path;
  return rootfs.kind === "overlay" ? (rootfs.upper?.upperDir ?? "") : "";
}

/** Owners that were given a root filesystem and have not begun to give it back. */
function holdersAfter(
  before: ReadonlySet<string>,
  steps: readonly StoreStep[],
  done: number,
): ReadonlySet<string> {
  const holders = new Set(before);
  for (const [number, step] of steps.slice(0, done + 1).entries()) {
    if (step.do === "prepare" && number < done) holders.add(step.owner);
    if (step.do === "release") holders.delete(step.owner);
  }
  return holders;
}

describe("a process that is killed while it pulls", () => {
  it(
    `leaves whole images and nothing else, ${rounds} times`,
    async () => {
      const random = randomFrom(seed);
      let interruptedPulls = 0;
      for (let round = 0; round < rounds; round += 1) {
        const order = random.pick([tags, tags.toReversed()]);
        const again = order.flatMap((tag): readonly StoreStep[] => [
          { do: "pull", image: place.source(tag) },
          { do: "remove", image: imageOf(random.pick(tags)) },
        ]);
        const steps: StoreStep[] = [{ do: "list" }, ...again, ...again, ...again];
        const { directory } = place;
        await using child = startStoreProcess({ directory, steps }, program);
        await child.result(0);
        await delay(random.below(1_200));
        await child.kill();
        if (steps[child.lines.length]?.do === "pull") interruptedPulls += 1;
        await using store = await place.open();
        await assertClean(store);
      }
      expect(interruptedPulls).toBeGreaterThan(rounds / 5);
    },
    rounds * 20_000,
  );
});

describe("a process that is killed at any moment", () => {
  it(
    `leaves a store that is whole, ${rounds} times`,
    async () => {
      const random = randomFrom(seed);
      let holders: ReadonlySet<string> = new Set();
      const interrupted = new Map<string, number>();
      for (let round = 0; round < rounds; round += 1) {
        const steps = randomSteps(random);
        const mountMethods = [random.pick(["erofs-files", "fuse"] as const)];
        const options = { mountMethods };
        const { directory } = place;
        await using child = startStoreProcess({ directory, options, steps }, program);
        await child.result(0);
        await delay(random.below(2_500));
        await child.kill();
        const done = child.lines.length;
        const what = steps[done]?.do ?? "";
        interrupted.set(what, (interrupted.get(what) ?? 0) + 1);
        holders = holdersAfter(holders, steps, done);

        const target = join(place.path, "mnt");
        if (await isMounted(target)) await unmountImage(target);
        await using store = await place.open(options);
        await assertClean(store);
        const all = await store.listOwners();
        for (const owner of holders) expect(all, `round ${round}`).toContain(owner);
        for (const owner of holders) {
          // By the id: the image itself may be removed by now.
          const id = ids.get(tags[owners.indexOf(owner)] ?? "") ?? "";
          const { rootfs } = await store.prepareRootfs(id, owner);
          const mine = await readFile(join(writablePath(rootfs), "mine"), "utf8");
          expect(mine, `round ${round}, ${owner}`).toBe("mine");
        }
        await store[Symbol.asyncDispose]();
        expect(await place.mounts()).toEqual([]);
      }
      // Else the moments are not those that count.
      expect([...interrupted.keys()].length, JSON.stringify([...interrupted])).toBeGreaterThan(2);
      await using store = await place.open();
      for (const owner of await store.listOwners()) await store.releaseRootfs(owner);
      for (const tag of tags) await store.removeImage({ image: imageOf(tag) });
      await store.collectGarbage();
      expect(await namesIn(place.directory, "blobs/sha256")).toEqual([]);
      expect(await namesIn(place.directory, "mounts/owners")).toEqual([]);
    },
    rounds * 20_000,
  );
});
