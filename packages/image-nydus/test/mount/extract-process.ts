// Extracts the sample image, whose blob is in the first directory, to the second one, and prints the report.
import { extractTree } from "../../src/mount/extract-tree.ts";
import { localBlobReader } from "../../src/mount/local-blob-reader.ts";
import { memoryFilesystem } from "../fuse/memory-filesystem.ts";
import { sampleImage } from "../fuse/sample-image.ts";
import { tmpdir } from "node:os";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

const [blobDirectory = "", target = ""] = process.argv.slice(2);
const { image, blob } = sampleImage(1_000);
// Only finishing tells the files which blob they are in; the blob itself is there already.
const spare = await mkdtemp(join(tmpdir(), "longshore-extract-"));
await blob.finish(spare);
await rm(spare, { recursive: true });
using blobs = localBlobReader(blobDirectory);
const report = await extractTree(memoryFilesystem(image), blobs, { directory: target });
process.stdout.write(JSON.stringify(report));
