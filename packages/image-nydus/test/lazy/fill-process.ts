/* Fetches a blob until it is killed. Arguments: directory, URL, file with the blob's description. */
import { readFileSync, writeSync } from "node:fs";
import { openLazyBlob } from "../../src/lazy/lazy-blob.ts";
import type { ImageBlob } from "../../src/rafs/readable-filesystem.ts";
import { httpRanges } from "./range-server.ts";

const [, , directory = "", url = "", description = ""] = process.argv;
const { blob, digests } = JSON.parse(readFileSync(description, "utf8")) as {
  blob: ImageBlob;
  digests: string[];
};
const lazy = await openLazyBlob({
  blob,
  directory,
  fetchRange: httpRanges(url),
  digestOf: ({ index }) => Buffer.from(digests[index] ?? "", "hex"),
  backgroundBatchBytes: 65_536,
  flushBytes: 100_000,
});
writeSync(1, `${lazy.readyCount}\n`);
await lazy.complete();
writeSync(1, "complete\n");
await lazy[Symbol.asyncDispose]();
