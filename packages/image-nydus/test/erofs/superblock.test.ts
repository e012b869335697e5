import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc32c } from "../../src/erofs/crc32c.ts";
import { metadataReader } from "../../src/erofs/metadata-reader.ts";
import {
  compatFeatures,
  decodeSuperblock,
  superblockChecksum,
} from "../../src/erofs/superblock.ts";

it("computes CRC-32C", () => {
  expect(~crc32c(Buffer.from("123456789")) >>> 0).toBe(0xe306_9283);
  expect(~crc32c(Buffer.alloc(32)) >>> 0).toBe(0x8a91_36aa);
});

describe("an image of mkfs.erofs", () => {
  let directory: string;
  let image: Buffer;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-erofs-"));
    const source = join(directory, "source");
    await mkdir(join(source, "folder"), { recursive: true });
    for (let number = 0; number < 500; number += 1) {
      await writeFile(join(source, "folder", `file-${number}`), "");
    }
    await promisify(execFile)("mkfs.erofs", [join(directory, "image"), source]);
    image = await readFile(join(directory, "image"));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it("has the checksum that is computed here", () => {
    const superblock = decodeSuperblock(image);

    expect(superblock.featureCompat & compatFeatures.checksum).toBe(1);
    expect(superblockChecksum(image)).toBe(superblock.checksum);
  });

  it("is read by the part of the reader that knows EROFS only", () => {
    const superblock = decodeSuperblock(image);
    const reader = metadataReader(image, superblock);
    const root = reader.directory(reader.inode(superblock.rootNid));
    const folder = reader.inode(root.find("folder")?.nid ?? 0);

    const names = [...reader.directory(folder).names()].map(({ name }) => name);

    expect(names).toHaveLength(502);
    expect(folder).toMatchObject({ kind: "directory", nlink: 2 });
    expect(reader.directory(folder).find("file-499")?.kind).toBe("file");
  });
});
