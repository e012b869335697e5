/* Opens a store and does what it is told, step by step. Argument: a StoreOrder as JSON. Prints a line of JSON per step. */
import { writeSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Rootfs } from "@longshore/core";
import { openNydusImageStore, type ImageMount, type NydusImageStore } from "../../src/index.ts";
import { openImageDatabase } from "../../src/store/image-database.ts";
import type { StoreOrder, StoreStep } from "./start-store-process.ts";

const { directory, options, steps } = JSON.parse(process.argv[2] ?? "") as StoreOrder;

let mounted: ImageMount | undefined;

async function take(store: NydusImageStore, step: StoreStep): Promise<unknown> {
  switch (step.do) {
    case "pull":
      return store.pullImage({ image: { image: step.image } });
    case "remove":
      return store.removeImage({ image: step.image });
    case "collect":
      return store.collectGarbage();
    case "prepare": {
      const { rootfs } = await store.prepareRootfs(step.image, step.owner, step.options);
      if (step.write !== undefined) await writeFile(join(writablePath(rootfs), step.write), "mine");
      return rootfs;
    }
    case "release":
      return store.releaseRootfs(step.owner);
    case "mount":
      mounted = await store.mount(step.image, step.target);
      return mounted.method;
    case "unmount":
      await mounted?.[Symbol.asyncDispose]();
      return undefined;
    case "list":
      return (await store.listImages()).map(({ id }) => id);
    case "hold-lease": {
      const database = openImageDatabase(join(directory, "images.db"));
      return database.tryLease("test") !== undefined;
    }
    case "memory":
      // The most it ever had, in bytes.
      return process.resourceUsage().maxRSS * 1_024;
    case "wait":
      writeSync(1, "waiting\n");
      return new Promise(() => setInterval(() => undefined, 1_000));
    default:
      return step satisfies never;
  }
}

function writablePath(rootfs: Rootfs): string {
  if (rootfs.kind === "directory") return rootfs.path;
  if (rootfs.kind === "overlay" && rootfs.upper !== undefined) return rootfs.upper.upperDir;
  throw new Error(`nothing to write to: ${JSON.stringify(rootfs)}`);
}

const store = await openNydusImageStore({
  directory,
  platform: { os: "linux", architecture: "amd64" },
  ...options,
});
for (const step of steps) {
  const value = await take(store, step);
  writeSync(1, `${JSON.stringify(value ?? null)}\n`);
}
await store[Symbol.asyncDispose]();
writeSync(1, "closed\n");
