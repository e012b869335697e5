import type { Socket } from "node:net";
import type { AttachSession } from "@longshore/core";
import {
  attachSession,
  processStreams,
  streamBits,
  type WantedStreams,
} from "../monitor/session.ts";
import type { ContainerContext } from "./container-context.ts";

/** Watches a container's first process over a connection to its monitor; ends with the driver. */
export function openSession(
  { sandbox, spec }: ContainerContext,
  socket: Socket,
  wanted: WantedStreams,
): AttachSession {
  const streams = processStreams(socket, wanted);
  const { connection } = streams;
  void connection.closed.then(sandbox.runtime.life.onEnd(() => void connection.close()));
  connection.send("A", Buffer.of(streamBits(wanted)));
  return attachSession(streams, spec.process.tty);
}
