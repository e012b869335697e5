import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import type { ServerNotification, ServerRequest } from "@modelcontextprotocol/sdk/types.js";

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Time between two notifications, so that a chatty command does not flood its client */
const pauseMs = 250;
const maxMessageLength = 200;

/**
 * Tells a client that asked for it how many bytes of output there are, and the latest line. The command waits for a client
 * that is slow to take a notification.
 */
export function outputProgress(extra: Extra): (data: string) => Promise<void> {
  const progressToken = extra._meta?.progressToken;
  let bytes = 0;
  let lastMs = -Infinity;
  return async (data) => {
    bytes += Buffer.byteLength(data);
    const nowMs = performance.now();
    if (progressToken === undefined || nowMs - lastMs < pauseMs) return;
    lastMs = nowMs;
    const message = data.trimEnd().split("\n").at(-1)?.slice(-maxMessageLength) ?? "";
    await extra.sendNotification({
      method: "notifications/progress",
      params: { progressToken, progress: bytes, message },
    });
  };
}
