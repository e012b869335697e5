import { constants } from "node:os";
import { LongshoreError, type SignalName } from "@longshore/core";

/** The kernel's first and last real-time signal, as the C library of glibc and musl shows them; see signal(7). */
const realTimeMin = 34;
const realTimeMax = 64;

/**
 * The signal meant by `SIGTERM`, `term`, `15`, `SIGRTMIN+3`: images spell them in many ways.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parseSignalName(text: string): SignalName {
  const name = nameOf(text.trim().toUpperCase());
  if (name !== undefined) return name as SignalName;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `${JSON.stringify(text.slice(0, 40))} is not a signal; it is a name such as SIGTERM.`,
    { details: { field: "stopSignal" } },
  );
}

function nameOf(text: string): string | undefined {
  if (/^\d{1,2}$/.test(text)) return nameOfNumber(Number(text));
  const name = text.startsWith("SIG") ? text : `SIG${text}`;
  if (name === "SIGCLD" || Object.hasOwn(constants.signals, name)) return name;
  const [, end, sign, offset = "0"] = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (end === undefined || (sign !== undefined && (sign === "+") !== (end === "MIN")))
    return undefined;
  return Number(offset) <= realTimeMax - realTimeMin ? name : undefined;
}

function nameOfNumber(number: number): string | undefined {
  if (number >= realTimeMin && number <= realTimeMax) {
    return number === realTimeMin ? "SIGRTMIN" : `SIGRTMIN+${number - realTimeMin}`;
  }
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}
