import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { isLongshoreError } from "@longshore/core";
import { serveRuntime } from "@longshore/runtime";
import { exitCodes } from "../../exit-codes.ts";
import { openLogger } from "../../terminal-logger.ts";
import { composeRuntime } from "./compose-runtime.ts";
import { runtimeSocket, type RuntimeFlags } from "./reach-runtime.ts";

export interface KeeperFlags extends RuntimeFlags {
  /** Started by another command: tells it when it serves, and ends by itself */
  readonly keeper?: boolean;
  readonly idleSeconds: number;
}

/**
 * Keeps the containers of a home directory for the commands of this user: holds the engine, writes down what happens, and
 * serves it at a socket. Containers go on when it ends; the next one finds them again.
 */
export async function keepRuntime(flags: KeeperFlags): Promise<number> {
  const home = resolve(flags.home);
  const isKeeper = flags.keeper === true;
  const logger = openLogger({ isJson: isKeeper || flags.json === true, level: "info" });
  const stop = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.resolve());
  try {
    await using composed = await composeRuntime(flags, { logger });
    let clients = 0;
    let idle: NodeJS.Timeout | undefined;
    /** Sandboxes may need this process: as their way out, and to put their logs into new files. */
    const leaveWhenUnused = async (): Promise<void> => {
      const ready = await composed.runtime.listPodSandbox({ state: "ready" });
      if (clients > 0) return;
      if (ready.length > 0) waitForClients();
      else stop.resolve();
    };
    const waitForClients = (): void => {
      idle = setTimeout(() => {
        leaveWhenUnused().catch(stop.reject);
      }, flags.idleSeconds * 1_000);
    };
    const onClients = (count: number): void => {
      clients = count;
      clearTimeout(idle);
      if (isKeeper && clients === 0) waitForClients();
    };
    await using _server = await serveRuntime(composed.runtime, {
      path: runtimeSocket(home),
      onClients,
    });
    onClients(clients);
    report(isKeeper, "ready");
    await stop.promise;
    clearTimeout(idle);
    return exitCodes.ok;
  } catch (error) {
    // Another one was faster: whoever started this one finds that.
    if (isKeeper && isLongshoreError(error, "STATE_CONFLICT")) {
      report(true, "ready");
      return exitCodes.ok;
    }
    if (isKeeper) report(true, error instanceof Error ? error.message : String(error));
    throw error;
  }
}

/** One line to whoever started this process, and the end of that connection. */
function report(isKeeper: boolean, line: string): void {
  if (!isKeeper) {
    process.stderr.write(`${line}\n`);
    return;
  }
  writeSync(1, `${line}\n`);
  closeSync(1);
  openSync("/dev/null", "w");
}
