import { readFile } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";
import { createWorkerClient, type WorkerClient } from "@longshore/transport-http/client";

export interface UrlFlags {
  readonly url?: string;
  readonly tokenFile?: string;
}

/**
 * The worker at `--url`. Its token is in `LONGSHORE_TOKEN` or in the file of `--token-file`: never an argument, which
 * every process of the machine could read.
 */
export async function openClient({ url = "", tokenFile }: UrlFlags): Promise<WorkerClient> {
  const token =
    tokenFile === undefined ? process.env["LONGSHORE_TOKEN"] : await readToken(tokenFile);
  try {
    return createWorkerClient(url, { token: token?.trim() === "" ? undefined : token?.trim() });
  } catch (error) {
    throw new LongshoreError("CONFIG_ERROR", `--url: "${url}" is not a URL of HTTP.`, {
      cause: error,
    });
  }
}

async function readToken(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: unknown) => {
    throw new LongshoreError("CONFIG_ERROR", `The token file ${file} cannot be read.`, {
      cause: error,
    });
  });
}
