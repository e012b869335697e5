import { open } from "node:fs/promises";
import { deviceTableEnd, readDeviceIds } from "../rafs/rafs-header.ts";

/**
 * The ids of the blobs that a bootstrap needs, in the order of its devices. Reads only its beginning: metadata of large images
 * have many megabytes.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` for what is no bootstrap; system errors of the reading
 */
export async function fetchDeviceIds(path: string): Promise<readonly string[]> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const head = Buffer.alloc(Math.min(size, deviceTableEnd));
  for (let position = 0; position < head.length;) {
    const { bytesRead } = await file.read(head, position, head.length - position, position);
    if (bytesRead === 0) break;
    position += bytesRead;
  }
  return readDeviceIds(head, size);
}
