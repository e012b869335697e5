/** An EROFS filesystem with an empty root directory and one data device, as small as can be. */
export interface ProbeImage {
  readonly bootstrap: Buffer;
  readonly device: Buffer;
}

const block = 4_096;
const superblock = 1_024;
const deviceTable = 1_408;
const rootNid = 1;

/** What the kernel's EROFS is tried out with: the features of our images (chunks, a device table) and no content. */
export function probeImage(): ProbeImage {
  const image = Buffer.alloc(2 * block);
  image.writeUInt32LE(0xe0f5e1e2, superblock);
  image.writeUInt8(12, superblock + 12);
  image.writeUInt16LE(rootNid, superblock + 14);
  image.writeUInt32LE(1, superblock + 16);
  image.writeUInt32LE(2, superblock + 36);
  image.writeUInt32LE(1, superblock + 40);
  // Chunk-based files and the device table.
  image.writeUInt32LE(0xc, superblock + 80);
  image.writeUInt16LE(1, superblock + 86);
  image.writeUInt16LE(deviceTable / 128, superblock + 88);
  image.writeUInt32LE(1, deviceTable + 64);
  image.writeUInt32LE(128, deviceTable + 68);

  // The root, an extended inode with its entries right behind it.
  const root = block + 32 * rootNid;
  const entries = root + 64;
  image.writeUInt16LE(5, root);
  image.writeUInt16LE(0o40755, root + 4);
  image.writeUInt32LE(27, root + 8);
  image.writeUInt32LE(1, root + 20);
  image.writeUInt32LE(2, root + 44);
  for (const [index, nameOffset] of [24, 25].entries()) {
    const entry = entries + 12 * index;
    image.writeUInt32LE(rootNid, entry);
    image.writeUInt16LE(nameOffset, entry + 8);
    image.writeUInt8(2, entry + 10);
  }
  image.write("...", entries + 24);
  return { bootstrap: image, device: Buffer.alloc(block) };
}
