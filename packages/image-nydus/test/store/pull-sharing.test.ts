import { memoryEventBus, type EventEnvelope, type PullProgress } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startServer, type Answer } from "../registry/fake-registry.ts";
import { openMetrics } from "./open-metrics.ts";
import { layerOf, noise, writeOciImage } from "./oci-image.ts";
import { serveLayout } from "./serve-layout.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let layers: readonly [number, number] = [0, 0];
let id = "";

beforeEach(async () => {
  place = await storePlace();
  const made = [layerOf({ big: noise("a", 400_000) }), layerOf({ small: noise("b", 30_000) })];
  ({ id } = await writeOciImage(place.layout, "one", { layers: made }));
  layers = [made[0]?.tar.length ?? 0, made[1]?.tar.length ?? 0];
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

/** Answers only when it is let go, so that a pull is under way for sure. */
function held(answer: Answer) {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  return {
    open: gate.resolve,
    reached: reached.promise,
    async answer(...[request, response]: Parameters<Answer>) {
      if (request.url?.includes("/blobs/") === true) {
        reached.resolve();
        await gate.promise;
      }
      await answer(request, response);
    },
  };
}

describe("callers that want the same image at the same time", () => {
  it("get one pull, whose progress all of them see", async () => {
    const gate = held(serveLayout(place.layout));
    await using server = await startServer(gate.answer);
    await using store = await place.open();
    const image = { image: `${server.host}/app:one` };
    const seen: PullProgress[][] = [[], [], []];
    const pulls = seen.map((list) =>
      store.pullImage({ image }, { onProgress: (progress) => list.push(progress) }),
    );
    await gate.reached;
    const late: PullProgress[] = [];
    pulls.push(store.pullImage({ image }, { onProgress: (progress) => late.push(progress) }));
    gate.open();
    expect(await Promise.all(pulls)).toEqual([id, id, id, id]);
    const blobs = server.seen.filter(({ path }) => path.includes("/blobs/"));
    expect(blobs.map(({ path }) => path)).toHaveLength(new Set(blobs.map(({ path }) => path)).size);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
    expect(seen[0]?.map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(["resolve", "download", "convert", "done"]),
    );
    expect(late.length).toBeGreaterThan(0);
    const last = seen[0]?.at(-1);
    expect(last).toMatchObject({ phase: "done", layers: [{ isDone: true }, { isDone: true }] });
    expect(last?.receivedBytes).toBe(last?.totalBytes);
    for (const { receivedBytes, totalBytes } of last?.layers ?? []) {
      expect(receivedBytes).toBe(totalBytes);
    }
  });

  it("may leave; the pull goes on for those who stay", async () => {
    const gate = held(serveLayout(place.layout));
    await using server = await startServer(gate.answer);
    await using store = await place.open();
    const image = { image: `${server.host}/app:one` };
    const leaving = new AbortController();
    const left = store.pullImage({ image }, { signal: leaving.signal });
    const stays = store.pullImage({ image });
    await gate.reached;
    leaving.abort(new Error("not any more"));
    await expect(left).rejects.toThrow("not any more");
    gate.open();
    expect(await stays).toBe(id);
  });

  it("end the pull when the last one leaves, and nothing of it stays", async () => {
    const gate = held(serveLayout(place.layout));
    await using server = await startServer(gate.answer);
    await using store = await place.open();
    const image = { image: `${server.host}/app:one` };
    const leaving = new AbortController();
    const pulls = [1, 2].map(() => store.pullImage({ image }, { signal: leaving.signal }));
    await gate.reached;
    leaving.abort(new Error("not any more"));
    for (const pulled of pulls) await expect(pulled).rejects.toThrow("not any more");
    gate.open();
    await store[Symbol.asyncDispose]();
    expect(await namesIn(place.directory, "ingest")).toEqual([]);
    expect(await blobsOf(place.directory)).toEqual([]);
    await using again = await place.open();
    expect(await again.listImages()).toEqual([]);
    expect(await again.pullImage({ image })).toBe(id);
  });

  it("do not get it by joining someone with other credentials", async () => {
    const plain = serveLayout(place.layout);
    const gate = held(plain);
    const secret = `Basic ${Buffer.from("user:secret").toString("base64")}`;
    await using server = await startServer(async (request, response) => {
      if (request.headers.authorization !== secret) {
        response.writeHead(401, { "www-authenticate": 'Basic realm="here"' }).end();
        return;
      }
      await gate.answer(request, response);
    });
    await using store = await place.open();
    const image = { image: `${server.host}/app:one` };
    const allowed = store.pullImage({ image, auth: { username: "user", password: "secret" } });
    await gate.reached;
    const refused = expect.objectContaining({ code: "REGISTRY_AUTH_FAILED" });
    await expect(store.pullImage({ image })).rejects.toEqual(refused);
    const wrong = { username: "user", password: "guess" };
    await expect(store.pullImage({ image, auth: wrong })).rejects.toEqual(refused);
    gate.open();
    expect(await allowed).toBe(id);
    // What is in the store is not kept from those who may not read the registry, but they are not told by a pull.
    await expect(store.pullImage({ image, auth: wrong })).rejects.toEqual(refused);
  });

  it("end with an error that says so when the store is closed", async () => {
    const gate = held(serveLayout(place.layout));
    await using server = await startServer(gate.answer);
    const store = await place.open();
    const pulled = store.pullImage({ image: { image: `${server.host}/app:one` } });
    const failure = pulled.catch((error: unknown) => error);
    await gate.reached;
    await store[Symbol.asyncDispose]();
    expect(await failure).toMatchObject({ code: "SHUTDOWN" });
    gate.open();
    expect(await namesIn(place.directory, "ingest")).toEqual([]);
  });
});

describe("a pull", () => {
  it("tells of itself by events, and a removal does", async () => {
    await using events = memoryEventBus();
    await using heard = events.subscribe("image.**");
    await using store = await place.open({ events });
    await pull(store, place.source("one"));
    await pull(store, place.source("one"));
    await store.removeImage({ image: id });
    await events[Symbol.asyncDispose]();
    const seen: EventEnvelope[] = [];
    for await (const event of heard) seen.push(event);
    expect(seen.map(({ type, subject, entityType }) => [type, subject, entityType])).toEqual([
      ["image.pulling", id, "image"],
      ["image.pulled", id, "image"],
      // It was there already.
      ["image.pulled", id, "image"],
      ["image.removed", id, "image"],
    ]);
    expect(seen[1]?.data).toEqual({ imageId: id, names: ["localhost/app:one"] });
  });

  it("is counted: bytes that came, chunks and time", async () => {
    const { meterProvider, read } = openMetrics();
    await using store = await place.open({ meterProvider });
    let received = 0;
    const onProgress = (progress: PullProgress): void => {
      received = progress.receivedBytes;
    };
    await store.pullImage({ image: { image: place.source("one") } }, { onProgress });
    expect(received).toBeGreaterThan(430_000);
    expect(received).toBeLessThan(layers[0] + layers[1]);
    expect(await read("image_fetched_bytes_total")).toEqual({ "": received });
    expect(await read("image_chunks_total")).toEqual({ hit: 0, miss: 2 });
    expect(await read("image_pull_duration_seconds")).toEqual({ "": 1 });
    await pull(store, place.source("one"));
    expect(await read("image_fetched_bytes_total")).toEqual({ "": received });
  });
});
