import type { Descriptor } from "../manifest.ts";
import type { Abortable } from "@longshore/core";
import type { FileRange } from "./file-range.ts";

/** Images in files: what an OCI layout and an archive of Docker have in common. */
export interface LocalImages extends AsyncDisposable {
  /** Path, for messages */
  readonly name: string;
  /** Entry points, each with its name in {@link refNameAnnotation} */
  readonly entries: readonly Descriptor[];
  /** Whether a name that was asked for means the name of an entry */
  isNamed(wanted: string, name: string): boolean;
  /** Bytes of a blob; undefined when it is not here */
  size(digest: string): Promise<number | undefined>;
  read(digest: string, range: FileRange, options?: Abortable): AsyncIterable<Buffer>;
}

/** The annotation that gives an entry of an OCI layout its name. */
export const refNameAnnotation: string = "org.opencontainers.image.ref.name";
