import { LongshoreError } from "@longshore/core";
import { createWorkerClient, type WorkerClient } from "@longshore/transport-http/client";
import { environmentToken, readTokenFile } from "./read-token.ts";

export interface UrlFlags {
  readonly url?: string;
  readonly tokenFile?: string;
}

/**
 * The worker at `--url`. Its token is in `LONGSHORE_TOKEN` or in the file of `--token-file`: never an argument, which
 * every process of the machine could read.
 */
export async function openClient({ url = "", tokenFile }: UrlFlags): Promise<WorkerClient> {
  const token = tokenFile === undefined ? environmentToken() : await readTokenFile(tokenFile);
  try {
    return createWorkerClient(url, { token: token === "" ? undefined : token });
  } catch (error) {
    throw new LongshoreError("CONFIG_ERROR", `--url: "${url}" is not a URL of HTTP.`, {
      cause: error,
    });
  }
}
