import type { Abortable } from "@longshore/core";
import type { FileRange } from "./file-range.ts";

/** Files by their path: those of a directory, or of a tar archive. Paths come from us, never from an image. */
export interface LayoutFiles extends AsyncDisposable {
  /** For messages */
  readonly name: string;
  /** Bytes of a regular file; undefined when there is none */
  size(path: string): Promise<number | undefined>;
  /** @throws {LongshoreError} `IMAGE_NOT_FOUND` when there is no such file */
  read(path: string, range: FileRange, options?: Abortable): AsyncIterable<Buffer>;
}
