import { randomUUID } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncDirectory } from "@longshore/core/files";

/** A file that appears under its name only when it is complete and on the disk. Disposing throws away what is not. */
export interface NewFile extends AsyncDisposable {
  readonly handle: FileHandle;
  commit(): Promise<void>;
}

export async function createFile(path: string): Promise<NewFile> {
  const temporary = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomUUID()}.tmp`);
  const handle = await open(temporary, "wx+", 0o644);
  let isCommitted = false;
  return {
    handle,
    async commit() {
      await handle.sync();
      await handle.close();
      await rename(temporary, path);
      isCommitted = true;
      await syncDirectory(dirname(path));
    },
    async [Symbol.asyncDispose]() {
      await handle.close();
      if (!isCommitted) await rm(temporary, { force: true });
    },
  };
}

/** Writes a whole file so that it is either the old or the new one, whatever happens. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await createFile(path);
  await file.handle.writeFile(bytes);
  await file.commit();
}
