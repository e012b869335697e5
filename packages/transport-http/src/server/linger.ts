import type { IncomingMessage } from "node:http";

/** Bodies up to this are read to their end, and thrown away, although nobody wants them */
const shortBodyBytes = 65_536;
/** Time that a client gets to read why its body is not wanted */
const lingerMs = 1_000;

/** Whether a body that nobody wants is so long that the connection ends with its answer. */
export function isTooLongToSkip(incoming: IncomingMessage): boolean {
  if (incoming.complete) return false;
  const { "content-length": length, "transfer-encoding": encoding } = incoming.headers;
  return encoding !== undefined || Number(length ?? 0) > shortBodyBytes;
}

/**
 * Ends the connection of a request softly. Closing while there are bytes that were not read resets it, and a client that
 * still sends loses its answer: this end is closed, the other one gets a moment.
 */
export function linger({ socket }: IncomingMessage): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    socket.once("close", () => {
      clearTimeout(timer);
    });
  };
}
