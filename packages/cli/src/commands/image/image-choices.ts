/** How the layer of an ordinary image can be compressed. */
export const layerCompressions = ["gzip", "zstd", "none"] as const;
/** How the chunks of a Nydus image can be compressed. */
export const chunkCompressions = ["zstd", "none"] as const;
/** How an ordinary image and its Nydus form can share a name. */
export const attachments = ["index", "subject"] as const;
/** Names of `--method`. */
export const mountMethodNames = ["erofs", "erofs-files", "erofs-loop", "fuse", "nydusd"] as const;
