import { constants } from "node:os";
import { LongshoreError, type SignalName } from "@longshore/core";

/** The first real-time signal that programs may use; the C library keeps two for itself. */
const realTimeFirst = 34;
const realTimeLast = 64;

/** Number of a Linux signal. @throws {LongshoreError} `VALIDATION_ERROR` for a name that is none */
export function signalNumber(name: SignalName): number {
  if (name === "SIGCLD") return constants.signals.SIGCHLD;
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (realTime !== null) {
    const [, base, sign, digits = "0"] = realTime;
    const offset = Number(digits) * (sign === "-" ? -1 : 1);
    const number = (base === "MIN" ? realTimeFirst : realTimeLast) + offset;
    if (number >= realTimeFirst && number <= realTimeLast) return number;
  }
  const known: Readonly<Record<string, number>> = constants.signals;
  const number = Object.hasOwn(known, name) ? known[name] : undefined;
  if (number !== undefined) return number;
  throw new LongshoreError("VALIDATION_ERROR", `"${name.slice(0, 32)}" is no signal.`, {
    details: { field: "signal" },
  });
}

/** Name of a signal that ended a process; `undefined` for 0. */
export function signalName(number: number): SignalName | undefined {
  if (number === 0) return undefined;
  if (number >= realTimeFirst) return `SIGRTMIN+${number - realTimeFirst}`;
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return entry?.[0] as SignalName | undefined;
}
