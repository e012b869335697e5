/** Something that happened while an image was loaded on demand. */
export type LazyEvent =
  | {
      /** A reader got an error: bytes could not be had (`IO_ERROR`) or were wrong (`IMAGE_CHECKSUM_MISMATCH`) */
      readonly type: "read-failed";
      readonly blobId: string;
      readonly offset: number;
      readonly length: number;
      readonly error: unknown;
    }
  | {
      /** A request failed, and is made again */
      readonly type: "fetch-retried";
      readonly blobId: string;
      readonly error: unknown;
    }
  | {
      /** Bytes came that were not the chunk's; they are asked for once more */
      readonly type: "chunk-mismatched";
      readonly blobId: string;
      readonly chunk: number;
      readonly error: unknown;
    }
  | {
      /** Fetched bytes are used, but could not be kept on disk, so that they are fetched again next time */
      readonly type: "cache-failed";
      readonly blobId: string;
      readonly error: unknown;
    }
  | {
      /** Bytes on disk turned out to be damaged, and are fetched again when they are needed */
      readonly type: "cache-damaged";
      readonly blobId: string;
      readonly chunks: readonly number[];
    }
  | {
      /** All of a blob is here */
      readonly type: "blob-completed";
      readonly blobId: string;
    };

/** Hears of events. What it throws is ignored: it must not harm a reader. */
export type LazyEventListener = (event: LazyEvent) => void;

/** A listener that never throws. */
export function safeListener(listener: LazyEventListener | undefined): LazyEventListener {
  return (event) => {
    try {
      listener?.(event);
    } catch {
      // The listener's defect is not the reader's.
    }
  };
}
