import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { oddImage } from "../publish/odd-image.ts";
import { storePlace, unfinishedFiles } from "../publish/store-place.ts";
import { run } from "../registry/sample-image.ts";

it("a commit that was killed leaves nothing that a clean-up does not take", async () => {
  await using place = await storePlace();
  const image = await oddImage(place.path);
  const store = await place.open("store");
  await store.pullImage({ image: { image: image.name } });
  const { rootfs } = await store.prepareRootfs("localhost/odd:one", "owner", {
    accept: ["directory"],
  });
  if (rootfs.kind !== "directory") throw new Error(`expected a directory, got ${rootfs.kind}`);
  const path = join(rootfs.path, "new");
  await run("dd", "if=/dev/urandom", `of=${path}`, "bs=1M", "count=30", "status=none");
  const blobs = join(store.directory, "blobs/sha256");
  const before = await readdir(blobs);
  // The owner is this process's; the other one only reads what was written.
  const program = fileURLToPath(new URL("commit-process.ts", import.meta.url));
  const flags = ["--no-warnings", "--conditions=@longshore/source", program];
  for (const delayMs of [0, 10, 40, 80, 120, 160, 200, 300, 400, 600]) {
    const child = spawn(process.execPath, [...flags, store.directory], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const closed = once(child, "close");
    await Promise.race([once(child.stdout, "data"), closed]);
    await delay(delayMs);
    child.kill("SIGKILL");
    await closed;
    await store.collectGarbage();
    expect((await store.verify()).problems).toEqual([]);
    expect(await unfinishedFiles(store)).toEqual([]);
    const { image: made } = await store.imageStatus({ image: { image: "made" } });
    if (made === undefined) expect(await readdir(blobs)).toEqual(before);
    else await store.removeImage({ image: "made" });
    expect(await readdir(blobs)).toEqual(before);
  }
});
