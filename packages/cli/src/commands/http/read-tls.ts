import { readFile } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";
import type { TlsOptions } from "@longshore/transport-http";

/** Files of a server's certificate. */
export interface TlsFiles {
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Authority of client certificates */
  readonly clientCaFile?: string | undefined;
}

/**
 * Reads them; `undefined` when none are named.
 *
 * @param names of both, as users know them, e.g. `--cert-file and --key-file`
 * @throws {LongshoreError} `CONFIG_ERROR`
 */
export async function readTls(
  { certFile, keyFile, clientCaFile }: TlsFiles,
  names: string,
): Promise<TlsOptions | undefined> {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new LongshoreError("CONFIG_ERROR", `${names} belong together.`);
  }
  return {
    cert: await read(certFile),
    key: await read(keyFile),
    ...(clientCaFile !== undefined && { clientCa: await read(clientCaFile) }),
  };
}

async function read(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw new LongshoreError("CONFIG_ERROR", `${path} cannot be read.`, { cause: error });
  });
}
