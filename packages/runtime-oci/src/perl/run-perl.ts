import { spawn } from "node:child_process";
import { once } from "node:events";
import { perlArguments } from "./perl-program.ts";
import { collect, perlError } from "./perl-report.ts";

export interface PerlRun {
  readonly program: string;
  readonly args: readonly string[];
  /** Said of what failed, e.g. `"end a container's monitor"` */
  readonly what: string;
}

/**
 * Runs a program that is seldom needed in a Perl of its own, to its end, and returns what it printed. It is short and not
 * interrupted half-way: who aborts undoes it afterwards.
 *
 * @param perl path of Perl
 * @throws {LongshoreError} `IO_ERROR` with the failing step and the error's name in its details
 */
export async function runPerl(perl: string, { program, args, what }: PerlRun): Promise<string> {
  const child = spawn(perl, perlArguments(program, args), {
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
