import type { Duplex } from "node:stream";

/** Copies both ways, with half-closes, until both are closed. */
export function joinSockets(one: Duplex, other: Duplex): void {
  endWith(one, other);
  endWith(other, one);
  one.pipe(other);
  other.pipe(one);
}

function endWith(socket: Duplex, peer: Duplex): void {
  socket.on("error", () => peer.destroy());
  socket.once("close", () => {
    // What a peer's buffer still holds is sent when the end was a regular one.
    if (socket.readableEnded) peer.end();
    else peer.destroy();
  });
}
