import {
  definePlugin,
  type Capabilities,
  type Logger,
  type Plugin,
  type WorkerConfig,
} from "@longshore/core";
import { httpPollingTransport, pollingTransportOptions } from "@longshore/transport-http";
import { environmentToken, readTokenFile } from "./http/read-token.ts";

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
  if (file === undefined) return environmentToken();
  await readTokenFile(file);
  return () => readTokenFile(file);
}
