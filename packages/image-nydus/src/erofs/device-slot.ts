/** Bytes of one slot of the device table. */
export const deviceSlotSize = 128;
const tagSize = 64;

/** A device besides the image itself, on which chunks of files lie. */
export interface DeviceSlot {
  /** Up to 64 bytes that name it */
  readonly tag: string;
  readonly blocks: number;
  /** Where it begins in the one address space that all devices share */
  readonly mappedBlock: number;
}

/** One slot as it is stored. */
export function encodeDeviceSlot(slot: DeviceSlot): Buffer {
  const bytes = Buffer.alloc(deviceSlotSize);
  bytes.write(slot.tag, 0, tagSize, "latin1");
  bytes.writeUInt32LE(slot.blocks, tagSize);
  bytes.writeUInt32LE(slot.mappedBlock, tagSize + 4);
  return bytes;
}

/** Reads one slot. */
export function decodeDeviceSlot(bytes: Buffer, at: number): DeviceSlot {
  const tag = bytes.toString("latin1", at, at + tagSize);
  const end = tag.indexOf("\0");
  return {
    tag: end === -1 ? tag : tag.slice(0, end),
    blocks: bytes.readUInt32LE(at + tagSize),
    mappedBlock: bytes.readUInt32LE(at + tagSize + 4),
  };
}
