import { packTree } from "../tree/pack-tree.ts";
import type { BootstrapImage } from "./bootstrap-image.ts";
import type { ByteSink } from "./byte-sink.ts";
import { writePackedBootstrap, type WrittenBootstrap } from "./write-packed-bootstrap.ts";

/**
 * Writes the RAFS v6 bootstrap of an image: an EROFS image that the kernel mounts with the image's uncompressed blobs as
 * devices, and that Nydus' own tools read. The same image always gives the same bytes. Besides the tree, it needs some
 * 200 bytes of memory for each file.
 *
 * @param target gets the bytes in order
 * @throws {LongshoreError} `VALIDATION_ERROR` for a tree or blobs that no image can have, `LIMIT_EXCEEDED` for more than
 * the format holds; nothing was written then. Errors of the target pass through.
 */
export async function writeBootstrap(
  target: ByteSink,
  { root, prefetch = [], ...image }: BootstrapImage,
  options: { readonly signal?: AbortSignal } = {},
): Promise<WrittenBootstrap> {
  options.signal?.throwIfAborted();
  const { tree, numbers } = packTree(root);
  const packed = { ...image, tree, prefetch: prefetch.map((inode) => numbers.get(inode) ?? -1) };
  return await writePackedBootstrap(target, packed, options);
}
