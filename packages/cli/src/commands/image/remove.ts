import { isLongshoreError, LongshoreError } from "@longshore/core";
import type { NydusImageStore } from "@longshore/image-nydus";
import { exitCodeFor, exitCodes } from "../../exit-codes.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { shortId } from "./short-id.ts";

interface Removal {
  readonly imageId: string;
  /** Whether the image has another name, or somebody uses it */
  readonly isKept: boolean;
}

/** Takes names off images; an id takes all names off its image. Goes on after one that is not there. */
export async function removeImages(texts: readonly string[], flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  let exitCode: number = exitCodes.ok;
  for (const text of texts) {
    try {
      const { imageId, isKept } = await remove(store, text);
      if (terminal.isJson) terminal.printJson({ image: text, image_id: imageId, kept: isKept });
      else terminal.print(`${isKept ? "untagged" : "removed"} ${text} (${shortId(imageId)})`);
    } catch (error) {
      if (!isLongshoreError(error)) throw error;
      terminal.note(`longshore: ${error.message}`);
      if (exitCode === exitCodes.ok) exitCode = exitCodeFor(error);
    }
  }
  return exitCode;
}

async function remove(store: NydusImageStore, text: string): Promise<Removal> {
  const { image } = await store.imageStatus({ image: { image: text } });
  if (image === undefined) {
    throw new LongshoreError("IMAGE_NOT_FOUND", `The image ${text} is not in the store.`);
  }
  const isId = /^(sha256:)?[0-9a-f]{64}$/.test(text);
  if (isId || !(await store.untag(text))) await store.removeImage({ image: image.id });
  const { image: left } = await store.imageStatus({ image: { image: image.id } });
  return { imageId: image.id, isKept: left !== undefined };
}
