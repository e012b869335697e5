import type { ProcessSpec } from "@longshore/core";
import { isWithin, parseContainerPath } from "./container-path.ts";
import { openInRoot } from "./open-in-root.ts";
import { invalid, unsupported } from "./spec-error.ts";

/** The kernel's MAX_ARG_STRLEN for one argument or variable, with the NUL at its end. */
const maxStringBytes = 131_072;
const maxStrings = 65_536;
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Program and arguments, as they are: nothing in them has a meaning to the runtime.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when there is no program, or one cannot be passed to a process
 */
export function checkArguments(argv: readonly string[]): readonly string[] {
  if (argv[0] === undefined || argv[0] === "") {
    throw invalid("command", "There is no program to run: the command is empty.");
  }
  if (argv.length > maxStrings) throw invalid("args", `There are ${maxStrings} arguments at most.`);
  for (const [index, argument] of argv.entries())
    checkString("args", `Argument ${index}`, argument);
  return argv;
}

/** Variables that a process gets when neither the image nor the configuration has them. */
export interface EnvironmentDefaults {
  readonly home: string | undefined;
  readonly hostname: string;
  readonly tty: boolean;
}

/**
 * The environment, with `PATH`, `HOME`, `HOSTNAME` and, on a terminal, `TERM` where they are missing.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a variable without a name or with NUL, `RUNTIME_NOT_SUPPORTED` for one
 *   that is not UTF-8
 */
export function processEnvironment(
  env: ProcessSpec["env"],
  { home, hostname, tty }: EnvironmentDefaults,
): readonly string[] {
  if (env.length > maxStrings) throw invalid("envs", `There are ${maxStrings} variables at most.`);
  const merged = new Map<string, string>([
    ["PATH", `PATH=${defaultPath}`],
    ["HOME", `HOME=${home ?? "/"}`],
    ["HOSTNAME", `HOSTNAME=${hostname}`],
    ...(tty ? [["TERM", "TERM=xterm"] as const] : []),
  ]);
  for (const entry of env) {
    const text = typeof entry === "string" ? entry : decode(entry);
    const end = text.indexOf("=");
    if (end < 1) {
      throw invalid("envs", `A variable is KEY=value, not ${JSON.stringify(text.slice(0, 64))}.`);
    }
    const key = text.slice(0, end);
    checkString("envs", `The variable ${JSON.stringify(key.slice(0, 64))}`, text);
    merged.set(key, text);
  }
  return [...merged.values()];
}

/**
 * The working directory; the runtime makes it when it is missing. It may not be in `/proc`, where links lead out of a
 * container while it starts.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export async function checkWorkingDirectory(path: string, rootPath: string): Promise<string> {
  const directory = parseContainerPath("workingDir", path === "" ? "/" : path);
  if (directory === "/") return directory;
  using entry = await openInRoot(rootPath, directory);
  if ([directory, entry.path].some((place) => isWithin("/proc", place))) {
    throw invalid("workingDir", `A process cannot start in ${JSON.stringify(path.slice(0, 256))}.`);
  }
  return directory;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The text of the error says no more than this.
    throw unsupported("envs", "OCI runtimes take variables as UTF-8 only.");
  }
}

function checkString(field: string, what: string, text: string): void {
  if (text.includes("\0")) throw invalid(field, `${what} has a NUL in it.`);
  if (Buffer.byteLength(text) >= maxStringBytes) {
    throw invalid(
      field,
      `${what} is longer than the ${maxStringBytes - 1} bytes that Linux takes.`,
    );
  }
}
