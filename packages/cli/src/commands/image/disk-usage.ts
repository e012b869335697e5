import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { resultTable, type Column } from "../../result-table.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { shortId } from "./short-id.ts";

const columns: readonly Column[] = [
  { head: "image" },
  { head: "id" },
  { head: "size", align: "right" },
  { head: "own", align: "right" },
  { head: "shared", align: "right" },
];

/** Shows what the images take on disk, each and together, and what sharing chunks saves. */
export async function showDiskUsage(flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  const { images, logicalBytes, storedBytes, files, dedupRatio } = await store.diskUsage();
  if (terminal.isJson) {
    terminal.printJson({
      logical_bytes: logicalBytes,
      stored_bytes: storedBytes,
      files,
      dedup_ratio: dedupRatio,
      images: images.map((image) => ({
        image_id: image.imageId,
        names: image.names,
        logical_bytes: image.logicalBytes,
        own_bytes: image.ownBytes,
        shared_bytes: image.sharedBytes,
      })),
    });
    return exitCodes.ok;
  }
  const rows = images.map((image) => [
    image.names.find((known) => !known.includes("@")) ?? image.names[0] ?? "",
    shortId(image.imageId),
    formatBytes(image.logicalBytes),
    formatBytes(image.ownBytes),
    formatBytes(image.sharedBytes),
  ]);
  terminal.print(resultTable(columns, rows));
  terminal.print(
    `${formatBytes(logicalBytes)} of images in ${formatBytes(storedBytes)} on disk ` +
      `(${files} files): ratio ${dedupRatio.toFixed(2)}`,
  );
  return exitCodes.ok;
}
