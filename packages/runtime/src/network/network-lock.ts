import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { LongshoreError } from "@longshore/core";

/**
 * Keeps a second program out of a network's directory. The lock is a socket in the kernel's abstract namespace, which goes
 * with the process, however it ends.
 *
 * @returns gives the lock back
 * @throws {LongshoreError} `STATE_CONFLICT`
 */
export async function lockNetwork(directory: string): Promise<() => Promise<void>> {
  const hash = createHash("sha256").update(directory).digest("hex");
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ path: `\0longshore-network-${hash}` });
    await once(server, "listening");
  } catch (cause) {
    throw new LongshoreError(
      "STATE_CONFLICT",
      `Another program uses the network in ${directory}.`,
      {
        cause,
        details: { directory },
      },
    );
  }
  server.unref();
  return async () => {
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
}
