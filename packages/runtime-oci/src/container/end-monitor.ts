import { setTimeout as delay } from "node:timers/promises";
import { connectMonitor, monitorSocket } from "../monitor/launch-monitor.ts";
import { killPeerProgram } from "../perl/kill-peer-program.ts";
import { runPerl } from "../perl/run-perl.ts";
import { controlMonitor } from "./control-monitor.ts";

/** One that answers does so at once; only then it is asked whether somebody stopped it */
const patienceMs = 2_000;

/**
 * Has a container's monitor kill what it started, and waits until it is gone itself. One that does not answer is killed: at once
 * when it was stopped by a signal, else after the time that a monitor gets.
 *
 * @returns whether it had to be killed; what it started is still there then
 */
export async function endMonitor(directory: string): Promise<"ended" | "killed"> {
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
  if (first === "silent" && (await killMonitor(directory, "stopped"))) {
    await stopping;
    return "killed";
  }
  if (await stopping) return "ended";
  await killMonitor(directory, "any");
  return "killed";
}

async function killMonitor(directory: string, which: "stopped" | "any"): Promise<boolean> {
  const args = [directory, monitorSocket, which === "stopped" ? "1" : ""];
  const answer = await runPerl(killPeerProgram, args, "end a container's monitor");
  return answer === "killed";
}
