import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { LongshoreError } from "@longshore/core";
import { findPerl, perlArguments } from "./perl-program.ts";

const maxOutput = 65_536;

/**
 * Runs a program to its end and returns what it printed. It is short and not interrupted half-way: who aborts undoes it
 * afterwards.
 *
 * @param what said of what failed, e.g. `"make the sandbox's namespaces"`
 * @throws {LongshoreError} `IO_ERROR` with the failing step and the error's name in its details
 */
export async function runPerl(
  program: string,
  args: readonly string[],
  what: string,
): Promise<string> {
  const child = spawn(await findPerl(), perlArguments(program, args), {
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
    env: { LC_ALL: "C" },
  });
  const output = collect(child.stdout);
  const failure = collect(child.stderr);
  const [exitCode] = (await once(child, "close")) as [number | null];
  if (exitCode === 0) return output();
  throw perlError(what, failure());
}

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
