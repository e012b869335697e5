import { LongshoreError } from "@longshore/core/errors";
import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";

/**
 * Says how a thread opens an image's metadata. A filesystem is functions and cannot be sent to another thread, so each one
 * makes its own, out of input that they may share (a `SharedArrayBuffer`).
 */
export interface FilesystemSource {
  /** URL of the module that exports the function */
  readonly module: string;
  /** Name of the function: given `input`, it returns a {@link ReadableFilesystem}, or a promise of one */
  readonly function: string;
  /** Anything that can be sent to a thread */
  readonly input: unknown;
}

/** Opens the metadata in this thread. @throws {LongshoreError} `CONFIG_ERROR` when there is no such function */
export async function loadFilesystem(source: FilesystemSource): Promise<ReadableFilesystem> {
  const exports: Record<string, unknown> = await import(source.module);
  const open = exports[source.function];
  if (typeof open !== "function") {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `The module ${source.module} exports no function "${source.function}".`,
      { details: { field: "function", expected: "the name of an exported function" } },
    );
  }
  return (open as (input: unknown) => ReadableFilesystem | Promise<ReadableFilesystem>)(
    source.input,
  );
}
