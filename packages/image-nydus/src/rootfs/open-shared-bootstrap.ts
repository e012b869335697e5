import { openBootstrap, type RafsFilesystem } from "../rafs/open-bootstrap.ts";

/** Opens a bootstrap that several threads have in common. */
export function openSharedBootstrap(bytes: SharedArrayBuffer): RafsFilesystem {
  return openBootstrap(Buffer.from(bytes));
}
