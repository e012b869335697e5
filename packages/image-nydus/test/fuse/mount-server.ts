// Mounts a small image through FUSE, says "ready", and does what the second argument says: "wait" or "exit".
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { mountFuse } from "../../src/fuse/mount-fuse.ts";
import { mountRecords } from "../../src/mount/mount-records.ts";
import { memorySource } from "./memory-filesystem.ts";
import { blobMaker, directory } from "./sample-image.ts";

const [place = "", then] = process.argv.slice(2);
const [blobs, target] = [join(place, "blobs"), join(place, "mnt")];
await mkdir(blobs);
await mkdir(target);
const blob = blobMaker();
const root = directory([["file", blob.file(Buffer.from("served"))]]);
await blob.finish(blobs);
await mountRecords(place).mount(target, () =>
  mountFuse({ filesystem: memorySource({ root, chunkSize: 65_536 }), blobs, target }),
);
process.stdout.write("ready\n");
if (then === "exit") process.exit(0);
