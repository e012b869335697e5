import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { allowAllPolicy, isLongshoreError, LongshoreError } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { bearerTokens, checkDoors, createMaster, type TlsOptions } from "@longshore/transport-http";
import { exitCodes } from "../exit-codes.ts";
import { interruptible } from "../interruptible.ts";
import { openTerminal } from "../terminal.ts";
import { openLogger } from "../terminal-logger.ts";
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
    tls: await readTls(flags),
    allowUnauthenticated: flags.allowUnauthenticated === true,
  };
  // Before a store is made in vain.
  checkDoors(doors);
  try {
    await interruptible(async (signal) => {
      await using store = sqliteJobStore({
        path: resolve(flags.store ?? join(flags.home, "master.db")),
        keepEvents: true,
      });
      await using _master = await createMaster({
        ...doors,
        store,
        policy: allowAllPolicy(),
        logger,
      });
      await ended(signal);
    });
  } catch (error) {
    if (!isLongshoreError(error, "CANCELLED")) throw error;
    logger.info("master stopped");
  }
  return exitCodes.ok;
}

function readListen(listen: string): { readonly host: string; readonly port: number } {
  if (!/^(\[[0-9A-Fa-f:]+\]|[^\s:[\]]+):\d{1,5}$/.test(listen)) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `--listen: "${listen}" is not an address like 127.0.0.1:9100.`,
    );
  }
  return toAddress(listen);
}

async function readTls({ certFile, keyFile }: MasterFlags): Promise<TlsOptions | undefined> {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new LongshoreError("CONFIG_ERROR", "--cert-file and --key-file belong together.");
  }
  const read = (path: string): Promise<Uint8Array> =>
    readFile(path).catch((error: unknown) => {
      throw new LongshoreError("CONFIG_ERROR", `${path} cannot be read.`, { cause: error });
    });
  return { cert: await read(certFile), key: await read(keyFile) };
}

/** Rejects with the reason when the signal aborts. */
function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
