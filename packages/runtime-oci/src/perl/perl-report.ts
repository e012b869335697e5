import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { LongshoreError } from "@longshore/core";

const maxOutput = 65_536;

/** What a stream says up to its end, and to a bound. */
export async function collectText(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let room = maxOutput;
  for await (const chunk of stream) {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  }
  return Buffer.concat(chunks).toString();
}

/** Keeps what a stream says, up to a bound. */
export function collect(stream: ChildProcess["stdout"]): () => string {
  const chunks: Buffer[] = [];
  let room = maxOutput;
  stream?.on("data", (chunk: Buffer) => {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
}

/** The error that a program reported as it ended. */
export function perlError(what: string, report: string): LongshoreError {
  const [number = "", step, ...rest] = report.split("\0");
  const details = rest.join(" ").trim().slice(0, 2_000);
  if (step === undefined || !/^\d+$/.test(number)) {
    return new LongshoreError("IO_ERROR", `Could not ${what}: ${report.trim().slice(0, 2_000)}`);
  }
  const errno = errorNames.get(Number(number)) ?? `errno ${number}`;
  const reason = [step, errno, details].filter((part) => part !== "").join(": ");
  return new LongshoreError("IO_ERROR", `Could not ${what}: ${reason}`, {
    details: { errno, step, ...(details !== "" && { subject: details }) },
  });
}

const errorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);
