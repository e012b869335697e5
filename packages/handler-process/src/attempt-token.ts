import { randomBytes } from "node:crypto";
import { isProcessGone, processIdentity } from "@longshore/core";

/** Environment variable that marks every process of one attempt. */
export const attemptVariable = "LONGSHORE_ATTEMPT";

/** A value no other attempt has; it also names the worker's process, so that orphans can be told from live jobs. */
export async function createAttemptToken(): Promise<string> {
  return `${await processIdentity()}.${randomBytes(16).toString("hex")}`;
}

/** Whether the worker that made the token has ended. Tokens of another PID namespace are never judged. */
export function isOrphanToken(token: string): Promise<boolean> {
  return isProcessGone(token);
}
