import { readFile } from "node:fs/promises";
import {
  definePlugin,
  LongshoreError,
  type Capabilities,
  type Logger,
  type Plugin,
  type WorkerConfig,
} from "@longshore/core";
import { httpPollingTransport, pollingTransportOptions } from "@longshore/transport-http";

/** Offers the transport type `poll`: jobs of a master, which is told what this worker can run. */
export function pollingPlugin(
  { home, worker: { pool, labels, taints } }: WorkerConfig,
  capabilities: Capabilities,
  logger: Logger,
): Plugin {
  return definePlugin({
    name: "longshore-polling",
    setup(host) {
      host.registerTransport("poll", async (config) => {
        const { tokenFile, ...options } = pollingTransportOptions(config, home);
        const token = await tokenSource(tokenFile);
        return httpPollingTransport({
          ...options,
          token,
          worker: { pool, labels, taints, capabilities },
          logger,
        });
      });
    },
  });
}

/** The token's file is read each time: whoever changes it need not restart the worker. */
async function tokenSource(
  file: string | undefined,
): Promise<string | (() => Promise<string>) | undefined> {
  if (file === undefined) {
    const token = process.env["LONGSHORE_TOKEN"]?.trim();
    return token === "" ? undefined : token;
  }
  const read = async (): Promise<string> => {
    try {
      return (await readFile(file, "utf8")).trim();
    } catch (error) {
      throw new LongshoreError("CONFIG_ERROR", `The token file ${file} cannot be read.`, {
        cause: error,
      });
    }
  };
  await read();
  return read;
}
