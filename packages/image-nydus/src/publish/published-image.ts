import type { FileHandle } from "node:fs/promises";
import type { Abortable } from "@longshore/core";
import type { BlobReader } from "../mount/blob-reader.ts";
import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { ImageTarget } from "../registry/image-target.ts";
import type { Descriptor } from "../registry/manifest.ts";
import type { PushProgressReport } from "./push-progress.ts";

/** An image that is to be written somewhere: its files and what it says of itself. */
export interface PublishedImage {
  readonly filesystem: ReadableFilesystem;
  readonly blobs: BlobReader;
  /** Bytes of all its files */
  readonly logicalSize: number;
  /** Its configuration as it came, JSON */
  readonly config: Buffer;
  /** Of its manifest */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A file that is deleted when it is disposed. */
export interface ScratchFile extends AsyncDisposable {
  readonly file: FileHandle;
}

export interface PublishOptions extends Abortable {
  readonly target: ImageTarget;
  /** Where blobs wait for being sent: their digests show at their ends */
  createScratch(): Promise<ScratchFile>;
  readonly progress: PushProgressReport;
  /** Whether the manifest gets the name that the target was opened with; else only its digest leads to it. @default "name" */
  readonly as?: "name" | "digest" | undefined;
}

/** A blob in a file, ready to be sent. */
export interface PackedBlob {
  readonly descriptor: Descriptor;
  readonly file: FileHandle;
}
