/** Gives the uncompressed bytes of blobs; files of an image are put together from them. */
export interface BlobReader {
  /**
   * Fills the whole of `target` with a blob's uncompressed bytes from `offset` on. The bytes are verified: the
   * implementer checks what it fetches before it hands it out. Calls may run at the same time.
   *
   * @throws {LongshoreError} `IO_ERROR` when the bytes cannot be had, `IMAGE_CHECKSUM_MISMATCH` when they are not right
   */
  read(blobId: string, offset: number, target: Uint8Array): Promise<void>;
}
