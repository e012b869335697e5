import type { Image } from "@longshore/core";
import { parseImageConfigFile } from "../registry/image-config-file.ts";
import { imageUser, toImageConfig } from "./image-config.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { ImageRecord } from "./image-records.ts";

/** An image of the store as the CRI describes it. */
export function toCriImage(database: ImageDatabase, record: ImageRecord): Image {
  const { imageId, manifestDigest, logicalSize, isPinned } = record;
  const names = database.names(imageId);
  const config = toImageConfig(parseImageConfigFile(Buffer.from(record.config)));
  return {
    id: imageId,
    repoTags: names.filter((name) => !name.includes("@")),
    repoDigests: names.filter((name) => name.includes("@")),
    size: Math.max(1, logicalSize),
    ...imageUser(config),
    spec: { image: manifestDigest },
    pinned: isPinned,
  };
}
