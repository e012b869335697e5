import { spawn } from "node:child_process";
import { once } from "node:events";
import { processIdentity, silentLogger, type ImageClient } from "@longshore/core";
import { expect, test } from "vitest";
import { temporaryImages } from "../src/temporary-images.ts";

type Names = Map<string, readonly string[]>;

/** As much of a store as is asked here: names by image. */
function store(names: Names): ImageClient {
  const images: Pick<ImageClient, "listImages" | "removeImage"> = {
    listImages: async () =>
      [...names].map(([id, repoTags]) => ({
        id,
        repoTags,
        repoDigests: [],
        size: 1,
        pinned: false,
      })),
    async removeImage({ image }) {
      names.delete(image);
    },
  };
  return images as ImageClient;
}

/** The identity of a process that is gone: another number, and this one's namespace. */
async function deadIdentity(): Promise<string> {
  const child = spawn("true");
  await once(child, "exit");
  const [namespace = ""] = (await processIdentity()).split(".");
  return `${namespace}.${child.pid ?? 0}.1`;
}

test("images of jobs that named none go with the last of them, and images with names stay", async () => {
  const names: Names = new Map();
  const images = store(names);
  const temporary = temporaryImages(images);
  const other = temporaryImages(images);
  const first = await temporary.reserve();
  const second = await temporary.reserve();
  const others = await other.reserve();
  names
    .set("same", [first, second])
    .set("others", [others])
    .set("named", ["localhost/mine:1", first]);
  await temporary.release(first, silentLogger);
  expect([...names.keys()]).toEqual(["same", "others", "named"]);
  await temporary.release(second, silentLogger);
  expect([...names.keys()]).toEqual(["others", "named"]);
  await other.release(others, silentLogger);
  expect([...names.keys()]).toEqual(["named"]);
});

test("images of workers that were killed go when another begins", async () => {
  const identity = await processIdentity();
  const names: Names = new Map([
    ["dead", [`localhost/longshore-build:x.${await deadIdentity()}`]],
    ["living", [`localhost/longshore-build:y.${identity}`]],
    ["strange", ["localhost/longshore-build:z"]],
    ["nameless", []],
  ]);
  await temporaryImages(store(names)).sweep();
  expect([...names.keys()]).toEqual(["living", "strange", "nameless"]);
});
