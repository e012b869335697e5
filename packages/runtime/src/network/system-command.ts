import { spawn } from "node:child_process";
import { once } from "node:events";
import { findCommand, LongshoreError } from "@longshore/core";

/** Where programs of the administrator lie on systems whose users' PATH leaves them out. */
const searchPath = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
const maxOutputBytes = 4 * 1024 * 1024;
/** Each is done in milliseconds; the bound is for a kernel that hangs. */
const timeoutMs = 60_000;

/** A program of the system by its name. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when there is none */
export async function findSystemCommand(name: string): Promise<string> {
  const path = await findCommand(name, searchPath);
  if (path !== undefined) return path;
  throw new LongshoreError("RUNTIME_NOT_SUPPORTED", `The command "${name}" is not installed.`, {
    details: { missing: name },
  });
}

/**
 * Runs a program with an argument list to its end and returns what it printed. It is never interrupted: a half-made link
 * is worse than one that its caller undoes.
 *
 * @param argv path of the program and its arguments
 * @param input what it reads; absent: nothing
 * @throws {LongshoreError} `IO_ERROR` with what the program said
 */
export async function runSystemCommand(argv: readonly string[], input = ""): Promise<string> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    cwd: "/",
    env: { LC_ALL: "C", PATH: searchPath },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const output = collect(child.stdout);
  const problems = collect(child.stderr);
  // A program that ends before it has read everything says why by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  let code: number | null;
  try {
    [code] = (await once(child, "close")) as [number | null];
  } catch (error) {
    throw new LongshoreError("IO_ERROR", `${command} could not be run.`, { cause: error });
  }
  if (code === 0) return output();
  const said = problems().trim().slice(0, 2_000);
  throw new LongshoreError(
    "IO_ERROR",
    `${command} failed: ${said === "" ? `exit ${code}` : said}`,
    {
      details: { command, exitCode: code, stderr: said },
    },
  );
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size < maxOutputBytes) chunks.push(chunk);
    size += chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
}
