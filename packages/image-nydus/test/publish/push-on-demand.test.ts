import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { memoryEventBus, type EventEnvelope } from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import { startDockerRegistry } from "../registry/docker-registry.ts";
import { run, sampleImage } from "../registry/sample-image.ts";
import { canMount } from "../fuse/mount-place.ts";
import { differences } from "../tree/file-listing.ts";
import { countingProxy } from "./counting-proxy.ts";
import { oddImage } from "./odd-image.ts";
import { storePlace } from "./store-place.ts";

describe.skipIf(!canMount)("a pushed Nydus image on another machine", () => {
  it("is the same tree, and comes as it is read", async () => {
    await using place = await storePlace();
    await using registry = await startDockerRegistry();
    const image = await oddImage(place.path);
    const store = await place.open("first");
    await store.pullImage({ image: { image: image.name } });
    await store.convert("localhost/odd:one", `${registry.host}/team/odd:nydus`);

    await using proxy = await countingProxy(registry.port);
    const ref = `${proxy.host}/team/odd:nydus`;
    const other = await place.open("second");
    await other.pullImage({ image: { image: ref } });
    const flags = ["--raw", "--tls-verify=false"];
    const raw = await run(
      "skopeo",
      "inspect",
      ...flags,
      `docker://${registry.host}/team/odd:nydus`,
    );
    const manifest = JSON.parse(raw);
    const [blob, bootstrap] = manifest.layers;
    expect(proxy.bytes(blob.digest)).toBe(0);
    expect(proxy.bytes()).toBeLessThan(bootstrap.size + 2 * manifest.config.size + 2_000);

    const target = await place.directory();
    {
      await using mount = await other.mount(ref, target);
      expect(mount.method).toBe("fuse");
      expect(proxy.bytes(blob.digest)).toBe(0);
      expect(await readFile(join(target, "dir/sub/file"), "utf8")).toBe("in sub");
      expect(proxy.bytes(blob.digest)).toBeLessThan(blob.size / 4);
    }
    expect(differences(await place.list(other, ref), image.listing)).toEqual([]);
    expect(proxy.answers.filter(({ status }) => status >= 400)).toEqual([]);
  });

  it("gives an error and an event when the registry is gone, never wrong bytes", async () => {
    await using place = await storePlace();
    await using registry = await startDockerRegistry();
    const image = await sampleImage(place.path, 5_000_000);
    const store = await place.open("first");
    await store.pullImage({ image: { image: image.name } });
    const ref = `${registry.host}/team/sample:nydus`;
    await store.convert("localhost/sample:one", ref);

    const events = memoryEventBus();
    const failed: EventEnvelope[] = [];
    events.on("image.*.read-failed", (event) => {
      failed.push(event);
    });
    const client = { env: {}, retries: 0 };
    const other = await place.open("cut-off", { events, registry: client });
    const imageId = await other.pullImage({ image: { image: ref } });
    await using mount = await other.mount(ref, await place.directory());
    const path = (file: string): string => join(mount.target, "data", file);
    expect(await readFile(path("hello"), "utf8")).toBe("hello");
    await registry[Symbol.asyncDispose]();
    {
      await using file = await open(path("big"));
      const read = file.read(Buffer.alloc(10), 0, 10, 4_500_000);
      await expect(read).rejects.toMatchObject({ code: "EIO" });
    }
    await vi.waitFor(
      () => {
        expect(failed[0]?.data).toMatchObject({ imageId });
      },
      { timeout: 20_000 },
    );
    expect(await readFile(path("hello"), "utf8")).toBe("hello");
  });
});
