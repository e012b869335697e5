import { setTimeout as delay } from "node:timers/promises";
import { connectMonitor, monitorSocket } from "../monitor/launch-monitor.ts";
import { killPeerProgram } from "../perl/kill-peer-program.ts";
import { runPerl } from "../perl/run-perl.ts";
import type { ContainerContext } from "./container-context.ts";
import { controlMonitor } from "./control-monitor.ts";

/** One that answers does so at once; only then it is asked whether somebody stopped it */
const patienceMs = 2_000;

/**
 * Has a container's monitor kill what it started, and waits until it is gone itself. One that does not answer is killed: at once
 * when it was stopped by a signal, else after the time that a monitor gets.
 *
 * @returns whether it had to be killed; what it started is still there then
 */
export async function endMonitor(context: ContainerContext): Promise<"ended" | "killed"> {
  const { directory } = context;
  const socket = await connectMonitor(directory, monitorSocket).catch(() => undefined);
  if (socket === undefined) return "ended";
  const monitor = controlMonitor(socket, directory);
  monitor.connection.send("H");
  const stopping = monitor.stop().then(
    () => true,
    () => false,
  );
  const patience = new AbortController();
  const silence = delay(patienceMs, "silent", { signal: patience.signal }).catch(() => "silent");
  const first = await Promise.race([stopping, silence]);
  patience.abort();
  if (first === "silent" && (await killMonitor(context, "stopped"))) {
    await stopping;
    return "killed";
  }
  if (await stopping) return "ended";
  await killMonitor(context, "any");
  return "killed";
}

async function killMonitor(
  { sandbox, directory }: ContainerContext,
  which: "stopped" | "any",
): Promise<boolean> {
  const args = [directory, monitorSocket, which === "stopped" ? "1" : ""];
  const answer = await runPerl(sandbox.runtime.perl, {
    program: killPeerProgram,
    args,
    what: "end a container's monitor",
  });
  return answer === "killed";
}
