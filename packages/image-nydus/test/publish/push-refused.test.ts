import { readdir, writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import { isLongshoreError } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { NydusImageStore } from "../../src/nydus-image-store.ts";
import { startDockerRegistry } from "../registry/docker-registry.ts";
import { run, sampleImage } from "../registry/sample-image.ts";
import { storePlace, unfinishedFiles, type StorePlace } from "./store-place.ts";

let place: StorePlace;
let store: NydusImageStore;
const ref = "localhost/sample:one";

beforeAll(async () => {
  place = await storePlace();
  const image = await sampleImage(place.path, 3_000_000);
  store = await place.open("store");
  await store.pullImage({ image: { image: image.name } });
}, 60_000);

afterAll(() => place[Symbol.asyncDispose]());

describe("a push", () => {
  it("fails for an image that is not there", async () => {
    await expect(store.push("localhost/none:1", `oci:${place.path}/x:1`)).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });

  it("fails without a target", async () => {
    await expect(store.push(ref, "oci:")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await expect(store.push(ref, "UPPER/case")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("refuses to put a Nydus image into an archive of Docker, and leaves no file", async () => {
    const directory = await place.directory();
    await expect(
      store.convert(ref, `docker-archive:${directory}/a.tar:x/y:z`),
    ).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await readdir(directory)).toEqual([]);
  });

  it.each(["oci", "nydus"] as const)(
    "tells nobody the credentials that a registry does not take: %s",
    async (form) => {
      const basic = { username: "user", password: "the right one" };
      await using registry = await startDockerRegistry({ basic });
      const auth = { username: "user", password: "s3cret-passw0rd" };
      const error: unknown = await store
        .push(ref, `${registry.host}/team/app:1`, { form, auth })
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      expect(isLongshoreError(error, "REGISTRY_AUTH_FAILED")).toBe(true);
      const all = inspect(error, { depth: 10, showHidden: true });
      expect(all).not.toContain(auth.password);
      expect(all).not.toContain(Buffer.from(`user:${auth.password}`).toString("base64"));
      expect(await unfinishedFiles(store)).toEqual([]);
      const pushed = await store.push(ref, `${registry.host}/team/app:1`, { form, auth: basic });
      expect(pushed.name).toBe(`${registry.host}/team/app:1`);
    },
  );

  it.each([["oci"], ["nydus"]] as const)(
    "ends with the reason of an abort and leaves nothing: %s",
    async (form) => {
      const directory = await place.directory();
      const controller = new AbortController();
      const reason = new Error("enough");
      const pushed = store.push(ref, `oci:${directory}/layout:1`, {
        form,
        signal: controller.signal,
        onProgress: ({ phase, doneBytes }) => {
          if (phase === "pack" && doneBytes === 0) controller.abort(reason);
        },
      });
      await expect(pushed).rejects.toBe(reason);
      // Who aborts does not wait for the end.
      await vi.waitFor(
        async () => {
          expect(await unfinishedFiles(store)).toEqual([]);
        },
        { timeout: 20_000 },
      );
    },
  );

  it("is one push for all who ask for the same", async () => {
    await using registry = await startDockerRegistry();
    const target = `${registry.host}/team/app:1`;
    const [first, second] = await Promise.all([
      store.convert(ref, target),
      store.convert(ref, target),
    ]);
    expect(second).toBe(first);
  });

  it("keeps what it reads when the image is removed meanwhile", async () => {
    const other = await place.open("removing");
    const directory = await place.directory();
    await writeFile(`${directory}/file`, "x".repeat(100_000));
    await run("umoci", "init", "--layout", `${directory}/in`);
    await run("umoci", "new", "--image", `${directory}/in:1`);
    await run("umoci", "insert", "--image", `${directory}/in:1`, `${directory}/file`, "/file");
    await other.pullImage({ image: { image: `oci:${directory}/in:1` } });
    let removed: Promise<void> | undefined;
    await other.push("localhost/in:1", `oci:${directory}/out:1`, {
      onProgress: () => {
        removed ??= other.removeImage({ image: "localhost/in:1" });
      },
    });
    await removed;
    await other.collectGarbage();
    expect(await other.listImages()).toEqual([]);
    await other.pullImage({ image: { image: `oci:${directory}/out:1` } });
    expect(await other.verify()).toMatchObject({ problems: [] });
  });

  it("is refused by a closed store", async () => {
    const closed = await place.open("closed");
    await closed[Symbol.asyncDispose]();
    await expect(closed.push(ref, `oci:${place.path}/x:1`)).rejects.toMatchObject({
      code: "IO_ERROR",
    });
  });
});
