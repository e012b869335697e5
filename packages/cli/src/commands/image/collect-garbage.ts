import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { shortId } from "./short-id.ts";

/** Deletes what no image needs. Fails when nothing can be deleted now because an image is being added. */
export async function collectGarbage(flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  const { images, blobs, bytes, isDeferred } = await store.collectGarbage();
  if (terminal.isJson) terminal.printJson({ deferred: isDeferred, images, files: blobs, bytes });
  else if (isDeferred) {
    terminal.print("an image is being added right now: nothing was deleted, try again later");
  } else {
    for (const imageId of images) terminal.print(`removed ${shortId(imageId)}`);
    terminal.print(`${blobs} files deleted, ${formatBytes(bytes)} given back`);
  }
  return isDeferred ? exitCodes.failed : exitCodes.ok;
}
