import { DatabaseSync } from "node:sqlite";
import type { ThreadData } from "./operation.ts";

/** How long opening may wait for a process that recovers or migrates the file, in milliseconds. */
const openTimeoutMs = 5_000;
const cacheKib = 16_384;
/** The store checkpoints by itself, between its transactions; this is the bound for what that does not foresee. */
const autoCheckpointPages = 8_192;
const maxIdleWalBytes = 67_108_864;

/** Opens the file in the mode the store needs; the caller migrates it. */
export function openDatabase({ path, synchronous }: ThreadData): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: openTimeoutMs });
  try {
    database.exec("PRAGMA journal_mode = WAL");
    database.exec(`PRAGMA synchronous = ${synchronous === "normal" ? "NORMAL" : "FULL"}`);
    database.exec(`PRAGMA journal_size_limit = ${maxIdleWalBytes}`);
    database.exec(`PRAGMA wal_autocheckpoint = ${autoCheckpointPages}`);
    database.exec(`PRAGMA cache_size = -${cacheKib}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
