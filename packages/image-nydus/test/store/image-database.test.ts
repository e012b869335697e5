import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openImageDatabase, type ImageDatabase } from "../../src/store/image-database.ts";
import type { NewImage } from "../../src/store/image-records.ts";
import { isAlive, ownProcess } from "../../src/store/process-identity.ts";

let directory = "";
let path = "";
let database: ImageDatabase;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-images-"));
  path = join(directory, "images.db");
  database = openImageDatabase(path);
});

afterEach(async () => {
  database[Symbol.dispose]();
  await rm(directory, { recursive: true, force: true });
});

const hex = (digit: string): string => digit.repeat(64);
const digest = (digit: string): Buffer => Buffer.alloc(32, digit);

const dataBlob = (name: string): string => hex(name === "a" ? "1" : "2");

function image(name: string, extra: Partial<NewImage> = {}): NewImage {
  return {
    image: {
      imageId: `sha256:${hex(name)}`,
      bootstrapId: hex(name),
      manifestDigest: `sha256:${hex("f")}`,
      manifest: "{}",
      config: "{}",
      logicalSize: 10,
      inodeCount: 2,
      pulledAtMs: 1,
      origin: "oci:here",
    },
    names: [`docker.io/library/${name}:latest`],
    blobs: [
      { blobId: hex(name), kind: "bootstrap", dataSize: 4_096, storedSize: 4_096 },
      {
        blobId: dataBlob(name),
        kind: "data",
        dataSize: 8_192,
        storedSize: 9_000,
      },
    ],
    blobIds: [dataBlob(name)],
    ...extra,
  };
}

/** Collects, and lets others add again at once. */
function collect() {
  using collection = database.tryCollect();
  return collection && { images: collection.images, blobIds: collection.blobIds };
}

describe("the image database", () => {
  it("finds an image by name, by id and by the beginning of its id", () => {
    database.addImage(image("a"));
    const byName = database.imageByName("docker.io/library/a:latest");
    expect(byName).toMatchObject({ imageId: `sha256:${hex("a")}`, isPinned: false });
    expect(database.imageById(`sha256:${hex("a")}`)).toEqual(byName);
    expect(database.imagesByPrefix("aaaa")).toEqual([byName]);
    expect(database.imagesByPrefix("b")).toEqual([]);
    expect(database.imageByName("docker.io/library/b:latest")).toBeUndefined();
  });

  it("moves a name to the image that has it now", () => {
    database.addImage(image("a"));
    database.addImage({ ...image("b"), names: ["docker.io/library/a:latest"] });
    expect(database.imageByName("docker.io/library/a:latest")?.imageId).toBe(`sha256:${hex("b")}`);
    expect(database.names(`sha256:${hex("a")}`)).toEqual([]);
    expect(collect()?.images).toEqual([`sha256:${hex("a")}`]);
  });

  it("finds the chunks of every blob until the blob is collected", async () => {
    database.addImage(image("a"));
    await database.addChunks(dataBlob("a"), [
      { digest: digest("a"), index: 0, offset: 0, size: 5 },
    ]);
    expect(database.findChunk(digest("a"))).toEqual({
      blobId: dataBlob("a"),
      index: 0,
      offset: 0,
      size: 5,
    });
    database.removeNames(`sha256:${hex("a")}`);
    const collected = collect();
    expect(new Set(collected?.blobIds)).toEqual(new Set([dataBlob("a"), hex("a")]));
    expect(database.findChunk(digest("a"))).toBeUndefined();
    expect(database.blobs()).toEqual([]);
  });

  it("adds chunks step by step, and collects what it has come to when it ends on the way", async () => {
    database.addBlob({ blobId: hex("f"), kind: "data", dataSize: 1, storedSize: 1 });
    const chunks = Array.from({ length: 10_000 }, (_, index) => ({
      digest: createHash("sha256").update(`${index}`).digest(),
      index,
      offset: index * 4_096,
      size: 5,
    }));
    using other = openImageDatabase(path);
    const controller = new AbortController();
    const { signal } = controller;
    const added = database.addChunks(hex("f"), chunks, { signal });
    // Between two steps others get to write.
    other.addBlob({ blobId: hex("e"), kind: "data", dataSize: 1, storedSize: 1 });
    controller.abort(new Error("enough"));
    await expect(added).rejects.toThrow("enough");
    const count = database.chunkCount();
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(chunks.length);
    await database.addChunks(hex("f"), chunks);
    expect(database.chunkCount()).toBe(chunks.length);
    expect(collect()?.blobIds.toSorted()).toEqual([hex("e"), hex("f")]);
    expect(database.chunkCount()).toBe(0);
  });

  it("collects nothing that has a name, an owner or a pin, or while something is added", () => {
    database.addImage(image("a"));
    database.addImage(image("b"));
    expect(collect()).toEqual({ images: [], blobIds: [] });
    database.removeNames(`sha256:${hex("a")}`);
    database.addOwner({
      owner: "c1",
      imageId: `sha256:${hex("a")}`,
      bootstrapId: hex("a"),
      kind: "overlay",
      readonly: false,
    });
    expect(collect()).toEqual({ images: [], blobIds: [] });
    database.removeOwner("c1");
    database.setPinned(`sha256:${hex("a")}`, true);
    expect(collect()).toEqual({ images: [], blobIds: [] });
    database.setPinned(`sha256:${hex("a")}`, false);
    {
      using lease = database.tryLease("test");
      expect(lease).toBeDefined();
      expect(collect()).toBeUndefined();
    }
    expect(collect()?.images).toEqual([`sha256:${hex("a")}`]);
  });

  it("lets nobody add while files are deleted", () => {
    {
      using collection = database.tryCollect();
      expect(collection).toBeDefined();
      expect(database.tryLease("test")).toBeUndefined();
      expect(database.tryCollect()).toBeUndefined();
    }
    using lease = database.tryLease("test");
    expect(lease).toBeDefined();
  });

  it("does not wait for the lease of a process that is gone", async () => {
    const child = spawn(
      process.execPath,
      [
        "--conditions=@longshore/source",
        "--input-type=module",
        "--eval",
        `import { openImageDatabase } from ${JSON.stringify(join(import.meta.dirname, "../../src/store/image-database.ts"))};
         openImageDatabase(${JSON.stringify(path)}).tryLease("child");
         console.log("held");
         setInterval(() => {}, 1e6);`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(child.stdout, "data");
    expect(database.leases()).toMatchObject([{ pid: child.pid, purpose: "child" }]);
    expect(collect()).toBeUndefined();
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    expect(collect()).toEqual({ images: [], blobIds: [] });
    expect(database.leases()).toEqual([]);
  });

  it("is one for several that have it open", () => {
    using other = openImageDatabase(path);
    database.addImage(image("a"));
    expect(other.images()).toHaveLength(1);
    other.removeName("docker.io/library/a:latest");
    expect(database.allNames()).toEqual(new Map());
  });

  it("writes an image whole or not at all", () => {
    const broken = { ...image("a"), blobIds: [hex("e")] };
    expect(() => {
      database.addImage(broken);
    }).toThrow(expect.objectContaining({ code: "IO_ERROR" }));
    expect(database.images()).toEqual([]);
    expect(database.blobs()).toEqual([]);
  });

  it("refuses a database of a newer release", () => {
    database[Symbol.dispose]();
    const raw = new DatabaseSync(path);
    raw.exec("PRAGMA user_version = 99");
    raw.close();
    expect(() => openImageDatabase(path)).toThrow(
      expect.objectContaining({ code: "CONFIG_ERROR" }),
    );
  });
});

describe("a process's identity", () => {
  it("is its own while it lives", () => {
    expect(isAlive(ownProcess())).toBe(true);
    expect(isAlive({ ...ownProcess(), started: "another boot:1" })).toBe(false);
    expect(isAlive({ pid: 2 ** 22 + 1, started: "x" })).toBe(false);
  });
});
