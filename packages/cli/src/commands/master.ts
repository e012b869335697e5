import { once } from "node:events";
import { join, resolve } from "node:path";
import { allowAllPolicy, listenAddress, LongshoreError } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { bearerTokens, checkDoors, createMaster } from "@longshore/transport-http";
import { exitCodes } from "../exit-codes.ts";
import { interruptible } from "../interruptible.ts";
import { openTerminal } from "../terminal.ts";
import { openLogger } from "../terminal-logger.ts";
import { readTls } from "./http/read-tls.ts";
import { toAddress } from "./serve-api.ts";

export interface MasterFlags {
  readonly home: string;
  readonly listen: string;
  readonly store?: string;
  readonly tokenFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly allowUnauthenticated?: boolean;
  readonly logLevel: string;
  readonly json?: boolean;
}

/** Keeps jobs for workers that poll until it is told to stop. Returns the exit code. */
export async function runMaster(flags: MasterFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const logger = openLogger({ isJson: terminal.isJson, level: flags.logLevel });
  const doors = {
    ...readListen(flags.listen),
    authenticators: flags.tokenFile === undefined ? [] : [bearerTokens(resolve(flags.tokenFile))],
    tls: await readTls(flags, "--cert-file and --key-file"),
    allowUnauthenticated: flags.allowUnauthenticated === true,
  };
  // Before a store is made in vain.
  checkDoors(doors);
  await interruptible(async (signal) => {
    await using store = sqliteJobStore({
      path: resolve(flags.store ?? join(flags.home, "master.db")),
      keepEvents: true,
    });
    await using _master = await createMaster({ ...doors, store, policy: allowAllPolicy(), logger });
    if (!signal.aborted) await once(signal, "abort");
  });
  logger.info("master stopped");
  return exitCodes.ok;
}

function readListen(listen: string): { readonly host: string; readonly port: number } {
  if (!listenAddress.test(listen)) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `--listen: "${listen}" is not an address like 127.0.0.1:9100.`,
    );
  }
  return toAddress(listen);
}
