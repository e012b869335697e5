import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { hasCode, LongshoreError } from "@longshore/core";

/**
 * Keeps a second program out of a network's directory. The lock is a socket in the kernel's abstract namespace, which goes
 * with the process, however it ends.
 *
 * @returns gives the lock back
 * @throws {LongshoreError} `STATE_CONFLICT`
 */
export async function lockNetwork(directory: string): Promise<() => Promise<void>> {
  const unlock = await tryLock(directory);
  if (unlock !== undefined) return unlock;
  throw new LongshoreError("STATE_CONFLICT", `Another program uses the network in ${directory}.`, {
    details: { directory },
  });
}

/** Does something while no other network on this host, of whatever program, does it. */
export async function withHostLock<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const unlock = await tryLock("host");
    if (unlock === undefined) {
      await lockIsFree("host");
      continue;
    }
    try {
      return await work();
    } finally {
      await unlock();
    }
  }
}

async function tryLock(name: string): Promise<(() => Promise<void>) | undefined> {
  const waiting = new Set<Socket>();
  const server = createServer((socket) => {
    // Whoever waits for the lock learns from the end of its connection that it is free.
    waiting.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => waiting.delete(socket));
    socket.unref();
  });
  try {
    server.listen({ path: lockPath(name) });
    await once(server, "listening");
  } catch (error) {
    if (hasCode(error, "EADDRINUSE")) return undefined;
    throw error;
  }
  server.unref();
  return async () => {
    if (!server.listening) return;
    server.close();
    for (const socket of waiting) socket.destroy();
    await once(server, "close");
  };
}

/** Resolves when whoever has the lock gives it back or ends. */
async function lockIsFree(name: string): Promise<void> {
  const socket = connect({ path: lockPath(name) });
  // Refused: it has just become free.
  socket.on("error", () => socket.destroy());
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
}

function lockPath(name: string): string {
  const hash = createHash("sha256").update(name).digest("hex");
  return `\0longshore-network-${hash}`;
}
