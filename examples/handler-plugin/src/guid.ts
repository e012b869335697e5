/** A GUID as firmware stores it: the first three groups have their bytes turned round. */
export function formatGuid(buffer: Buffer, offset: number): string {
  const bytes = buffer.subarray(offset, offset + 16);
  const turned = [
    ...bytes.subarray(0, 4).toReversed(),
    ...bytes.subarray(4, 6).toReversed(),
    ...bytes.subarray(6, 8).toReversed(),
    ...bytes.subarray(8),
  ];
  return formatUuid(Buffer.from(turned), 0);
}

/** A UUID whose bytes stand in the order in which they are written. */
export function formatUuid(buffer: Buffer, offset: number): string {
  const hex = buffer.toString("hex", offset, offset + 16);
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return `${groups.join("-")}-${hex.slice(20)}`;
}
