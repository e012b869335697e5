import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

/** What fits into the address of a socket, with the NUL at its end */
const maxPathBytes = 107;

/** Connects to a socket that is a file in a directory, however long its path is. Rejects with the system's error. */
export async function connectIn(directory: string, name: string): Promise<Socket> {
  const path = join(directory, name);
  if (Buffer.byteLength(path) <= maxPathBytes) return connected(connect(path));
  // An open directory has a short one.
  const fd = openSync(directory, "r");
  try {
    return await connected(connect(`/proc/self/fd/${fd}/${name}`));
  } finally {
    closeSync(fd);
  }
}

async function connected(socket: Socket): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve).once("error", reject);
  await promise;
  socket.off("error", reject);
  return socket;
}
