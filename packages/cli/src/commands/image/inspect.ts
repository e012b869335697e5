import { exitCodes } from "../../exit-codes.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";

/** Prints everything that the store knows about an image, always as JSON. */
export async function inspectImage(ref: string, flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  const { record, names, filesystem, isOnDemand } = await store.inspect(ref);
  const shown = {
    image_id: record.imageId,
    names,
    origin: record.origin,
    pulled_at: new Date(record.pulledAtMs).toISOString(),
    pinned: record.isPinned,
    on_demand: isOnDemand,
    logical_bytes: record.logicalSize,
    inode_count: record.inodeCount,
    bootstrap: record.bootstrapId,
    blobs: filesystem.blobs.map((blob) => ({
      id: blob.id,
      uncompressed_bytes: blob.uncompressedSize,
      stored_bytes: blob.compressedSize,
      chunk_count: blob.chunkCount,
      compressor: blob.compressor,
      digester: blob.digester,
    })),
    manifest_digest: record.manifestDigest,
    manifest: JSON.parse(record.manifest) as unknown,
    config: JSON.parse(record.config) as unknown,
  };
  if (terminal.isJson) terminal.printJson(shown);
  else terminal.print(JSON.stringify(shown, null, 2));
  return exitCodes.ok;
}
