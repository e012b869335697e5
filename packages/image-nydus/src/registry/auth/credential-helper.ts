import { spawn } from "node:child_process";
import type { Abortable, AuthConfig } from "@longshore/core";
import { z } from "zod";
import { authFailed, shown } from "../registry-errors.ts";

const timeoutMs = 30_000;
const maxOutputBytes = 65_536;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const outputSchema = z.looseObject({ Username: z.string().default(""), Secret: z.string() });

export interface CredentialHelperOptions extends Abortable {
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** @default 30_000 */
  readonly timeoutMs?: number | undefined;
}

/**
 * Asks a credential helper of Docker's (`docker-credential-NAME get`); undefined when it knows none for the server.
 *
 * The helper is killed with its children when it takes too long or writes too much.
 *
 * @throws {LongshoreError} `REGISTRY_AUTH_FAILED` for a helper that is missing or fails
 */
export async function askCredentialHelper(
  name: string,
  server: string,
  options: CredentialHelperOptions = {},
): Promise<AuthConfig | undefined> {
  if (!namePattern.test(name))
    throw authFailed(`${shown(name)} is no name of a credential helper.`);
  const command = `docker-credential-${name}`;
  const { code, output } = await runHelper(command, server, options);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    // What it wrote is not shown: it may hold a secret.
    throw authFailed(`${command} ended with code ${String(code)} when asked for ${server}.`);
  }
  const parsed = outputSchema.safeParse(parseJson(output));
  if (!parsed.success) throw authFailed(`${command} did not answer with credentials.`);
  const { Username: username, Secret: secret } = parsed.data;
  return username === "<token>" ? { identityToken: secret } : { username, password: secret };
}

interface HelperResult {
  readonly code: number | null;
  readonly output: string;
}

async function runHelper(
  command: string,
  server: string,
  options: CredentialHelperOptions,
): Promise<HelperResult> {
  options.signal?.throwIfAborted();
  const deadline = AbortSignal.timeout(options.timeoutMs ?? timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  const child = spawn(command, ["get"], {
    stdio: ["pipe", "pipe", "ignore"],
    // A group of its own, so that what the helper starts ends with it.
    detached: true,
    ...(options.env && { env: options.env }),
  });
  const kill = (): void => killGroup(child.pid);
  const result = Promise.withResolvers<HelperResult>();
  const chunks: Buffer[] = [];
  let size = 0;
  let problem: Error | undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxOutputBytes) chunks.push(chunk);
    else {
      problem ??= authFailed(`${command} wrote more than ${maxOutputBytes} bytes.`);
      kill();
    }
  });
  // It may end without reading what it is asked for.
  child.stdin.on("error", () => {});
  child.stdin.end(`${server}\n`);
  child.once("error", (cause) => {
    result.reject(authFailed(`The credential helper ${command} cannot be run.`, { cause }));
  });
  child.once("close", (code) => {
    if (problem !== undefined) result.reject(problem);
    else result.resolve({ code, output: Buffer.concat(chunks).toString("utf8") });
  });
  const onAbort = (): void => {
    problem ??= options.signal?.aborted
      ? (options.signal.reason as Error)
      : authFailed(`${command} did not answer in time.`);
    kill();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await result.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says what was expected; the text may be secret.
    return undefined;
  }
}
