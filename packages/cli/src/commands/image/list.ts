import { parseReference } from "@longshore/image-nydus/registry";
import { exitCodes } from "../../exit-codes.ts";
import { formatAge } from "../../format-age.ts";
import { formatBytes } from "../../format-bytes.ts";
import { resultTable, type Column } from "../../result-table.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { shortId } from "./short-id.ts";

const columns: readonly Column[] = [
  { head: "name" },
  { head: "tag" },
  { head: "id" },
  { head: "size", align: "right" },
  { head: "own", align: "right" },
  { head: "shared", align: "right" },
  { head: "pulled" },
];

/** Shows the images of the store, a line for each name. */
export async function listImages(flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  const { images } = await store.diskUsage();
  // Those without a name are on their way out.
  const shown = images.filter(({ names, isPinned }) => isPinned || names.length > 0);
  if (terminal.isJson) {
    for (const image of shown) {
      const { imageId, names, logicalBytes, ownBytes, sharedBytes, pulledAtMs, isPinned } = image;
      terminal.printJson({
        image_id: imageId,
        names,
        logical_bytes: logicalBytes,
        own_bytes: ownBytes,
        shared_bytes: sharedBytes,
        pulled_at: new Date(pulledAtMs).toISOString(),
        pinned: isPinned,
      });
    }
    return exitCodes.ok;
  }
  const rows = shown.flatMap((image) =>
    shownNames(image.names).map(({ name, tag }) => [
      name,
      tag,
      shortId(image.imageId),
      formatBytes(image.logicalBytes),
      formatBytes(image.ownBytes),
      formatBytes(image.sharedBytes),
      formatAge(Date.now() - image.pulledAtMs) + (image.isPinned ? ", pinned" : ""),
    ]),
  );
  terminal.print(resultTable(columns, rows));
  return exitCodes.ok;
}

interface ShownName {
  readonly name: string;
  readonly tag: string;
}

/** Names with a tag; a digest only for a repository without one. */
function shownNames(names: readonly string[]): readonly ShownName[] {
  const references = names.map((name) => parseReference(name));
  const tagged = references.flatMap(({ registry, repository, tag }) =>
    tag === undefined ? [] : [{ name: `${registry}/${repository}`, tag }],
  );
  const digests = references.flatMap(({ registry, repository, digest }) =>
    digest === undefined || tagged.some(({ name }) => name === `${registry}/${repository}`)
      ? []
      : [{ name: `${registry}/${repository}`, tag: `@${shortId(digest)}` }],
  );
  const shown = [...tagged, ...digests];
  return shown.length > 0 ? shown : [{ name: "", tag: "" }];
}
