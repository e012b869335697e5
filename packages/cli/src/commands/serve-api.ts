import { join } from "node:path";
import { loadKeySet, LongshoreError, type WorkerConfig } from "@longshore/core";
import {
  bearerTokens,
  checkDoors,
  clientCertificates,
  serveWorkerApi,
  signedRequests,
  type Authenticator,
  type WorkerApi,
  type WorkerApiOptions,
} from "@longshore/transport-http";
import { readTls } from "./http/read-tls.ts";

/** Where and to whom an API is served, checked and read from the files that the configuration names. */
export type ApiDoors = Pick<
  WorkerApiOptions,
  "host" | "port" | "authenticators" | "tls" | "allowUnauthenticated"
>;

/**
 * What the configuration says of the API's doors; `undefined` when it wants no API.
 *
 * @throws {LongshoreError} `CONFIG_ERROR`, before any worker is started in vain
 */
export async function readDoors(config: WorkerConfig): Promise<ApiDoors | undefined> {
  const { listen, allowUnauthenticated } = config.api;
  if (listen === undefined) return undefined;
  const doors = {
    ...toAddress(listen),
    authenticators: await authenticators(config),
    tls: await readTls(config.api, "api.cert_file and api.key_file"),
    allowUnauthenticated,
  };
  checkDoors(doors);
  return doors;
}

/** Serves a worker's HTTP API as its configuration says. */
export async function serveApi(
  doors: ApiDoors,
  { api, home, worker: { resultsDir } }: WorkerConfig,
  parts: Pick<WorkerApiOptions, "worker" | "store" | "policy" | "metrics" | "logger">,
): Promise<WorkerApi> {
  try {
    return await serveWorkerApi({
      ...parts,
      ...doors,
      corsOrigins: api.corsOrigins,
      maxBodyBytes: api.bodyLimitBytes,
      maxStreamsPerClient: api.maxStreamsPerClient,
      admin: api.admin,
      view: api.view,
      artifactsDir: join(resultsDir, "artifacts"),
      jobsPath: home,
    });
  } catch (error) {
    // It is up already, and nobody could reach it.
    await parts.worker.stop({ timeoutMs: 0 });
    throw error;
  }
}

/** @throws {LongshoreError} `CONFIG_ERROR` */
export function toAddress(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(":");
  const port = Number(listen.slice(colon + 1));
  if (port > 65_535) {
    throw new LongshoreError("CONFIG_ERROR", `${listen}: there is no port ${port}.`);
  }
  return { host: listen.slice(0, colon).replaceAll(/[[\]]/g, ""), port };
}

async function authenticators({ api, worker }: WorkerConfig): Promise<readonly Authenticator[]> {
  const { tokenFile, keysFile, clientCaFile } = api;
  return [
    ...(clientCaFile === undefined ? [] : [clientCertificates()]),
    ...(tokenFile === undefined ? [] : [bearerTokens(tokenFile)]),
    ...(keysFile === undefined
      ? []
      : [signedRequests({ keys: await loadKeySet(keysFile), audience: worker.id })]),
  ];
}
