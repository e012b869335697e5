import { spawn } from "node:child_process";
import { once } from "node:events";
import { LongshoreError } from "@longshore/core";
import { launcherProgram } from "../perl/launcher-program.ts";
import { perlArguments } from "../perl/perl-program.ts";
import { collect } from "../perl/perl-report.ts";
import type { RuntimeContext } from "./runtime-context.ts";

/**
 * The OCI runtime with the options that each of its commands gets.
 *
 * @param state directory of its notes
 */
export function runtimeCommand(
  { binary, kind }: Pick<RuntimeContext, "binary" | "kind">,
  state: string,
): readonly string[] {
  return [binary, ...kind.globalOptions(state)];
}

export interface RuntimeRun {
  readonly args: readonly string[];
  /** Directory of its notes */
  readonly state: string;
  /** More options before the command. @default none */
  readonly options?: readonly string[] | undefined;
}

/**
 * Runs a command of the OCI runtime to its end.
 *
 * @throws {LongshoreError} `EXECUTION_ERROR` with what the OCI runtime said
 */
export async function runRuntime(
  context: RuntimeContext,
  { args, state, options: more = [] }: RuntimeRun,
): Promise<string> {
  const [program = "", ...options] = [...runtimeCommand(context, state), ...more];
  const [command, commandArgs] = context.hidesUnified
    ? [context.perl, perlArguments(launcherProgram, [program, ...options, ...args])]
    : [program, [...options, ...args]];
  const child = spawn(command, commandArgs, { cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
  const output = collect(child.stdout);
  const errors = collect(child.stderr);
  const [exitCode] = (await once(child, "close")) as [number | null];
  if (exitCode === 0) return output();
  throw runtimeError(`${context.kind.name} ${args[0] ?? ""}`, errors());
}

const maxMessage = 2_000;

/** What an OCI runtime said when it failed: its last line tells why, those before often how it got there. */
export function runtimeError(what: string, report: string): LongshoreError {
  const lines = report.split("\n").flatMap((line) => messageOf(line) ?? []);
  const message = (lines.at(-1) ?? "no reason was given").slice(0, maxMessage);
  return new LongshoreError("EXECUTION_ERROR", `${what} failed: ${message}`, {
    details: { reason: message },
  });
}

/** The text of a line, which runc writes as `time="…" level=error msg="…"`. */
function messageOf(line: string): string | undefined {
  const quoted = /\bmsg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
  const text = (quoted?.replaceAll(/\\(.)/g, "$1") ?? line).trim();
  return text === "" ? undefined : text;
}
