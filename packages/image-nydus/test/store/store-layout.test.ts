import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStoreLayout, type StoreLayout } from "../../src/store/store-layout.ts";

let root = "";
let layout: StoreLayout;

beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), "longshore-images-")), "images");
  layout = await openStoreLayout(root);
});

afterEach(async () => {
  await rm(join(root, ".."), { recursive: true, force: true });
});

const id = "a".repeat(64);

describe("the layout of a store", () => {
  it("has a file among the blobs only once it is whole", async () => {
    {
      await using ingest = await layout.createIngest();
      await ingest.file.write("half");
    }
    expect(await readdir(join(root, "ingest"))).toEqual([]);
    {
      await using ingest = await layout.createIngest();
      await ingest.file.write("whole");
      expect(await layout.listBlobs()).toEqual([]);
      await ingest.install(id);
    }
    expect(await layout.listBlobs()).toEqual([id]);
    expect(await readFile(layout.blobPath(id), "utf8")).toBe("whole");
    await layout.removeBlob(id);
    await layout.removeBlob(id);
    expect(await layout.listBlobs()).toEqual([]);
  });

  it("is its owner's alone", async () => {
    expect((await stat(layout.blobDirectory)).mode & 0o777).toBe(0o700);
  });

  it("links names to what they mean, and to something else later", async () => {
    await writeFile(layout.blobPath(id), "bootstrap");
    const name = { registry: "localhost:5000", repository: "team/app", tag: "1.0" };
    for (const digit of ["b", "c"]) {
      const imageId = `sha256:${digit.repeat(64)}`;
      await layout.links.link({ name, imageId, bootstrapId: id });
    }
    const bootstrap = join(root, "bootstrap/localhost:5000/team/app/1.0.meta");
    expect(await readFile(bootstrap, "utf8")).toBe("bootstrap");
    expect(await readlink(join(root, "refs/localhost:5000/team/app/1.0"))).toBe(
      `sha256:${"c".repeat(64)}`,
    );
    await layout.links.unlink(name);
    await layout.links.unlink(name);
    expect(await readdir(join(root, "refs/localhost:5000/team/app"))).toEqual([]);
  });

  it("takes no blob id for a path", () => {
    expect(() => layout.blobPath("../../etc/passwd")).toThrow(TypeError);
    expect(() => layout.blobPath(`${id}/x`)).toThrow(TypeError);
  });
});
