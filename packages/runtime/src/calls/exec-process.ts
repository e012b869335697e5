import type { ExecRequest, ProcessSpec } from "@longshore/core";
import { checkText, invalid } from "../engine/check-fields.ts";
import type { ContainerEntry } from "../engine/entries.ts";

/**
 * A command in a container: as the container's first process, but for what the request says.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function execProcess({ record }: ContainerEntry, request: ExecRequest): ProcessSpec {
  const { cmd, tty = false, stdin = false, envs = [], workingDir, user, terminalSize } = request;
  const [program] = cmd;
  checkText("cmd", program);
  for (const text of cmd) {
    if (typeof text !== "string" || text.includes("\0")) {
      throw invalid("cmd", "must be texts without NUL characters.");
    }
  }
  const env = new Map(record.process.env.map((entry) => [keyOf(entry), entry]));
  for (const { key, value } of envs) {
    if (checkText("envs.key", key, 32_768).includes("="))
      throw invalid("envs.key", 'must not have "=".');
    const entry =
      typeof value === "string"
        ? `${key}=${value}`
        : Buffer.concat([Buffer.from(`${key}=`), value]);
    if (Buffer.from(entry).includes(0))
      throw invalid("envs.value", "must not have NUL characters.");
    env.set(key, entry);
  }
  if (tty && !env.has("TERM")) env.set("TERM", "TERM=xterm");
  const { user: ownUser, workingDir: ownDirectory } = record.process;
  const wantedUser = user || ownUser;
  return {
    argv: cmd,
    env: [...env.values()],
    workingDir: workingDir || ownDirectory,
    tty,
    stdin,
    ...(wantedUser !== undefined && { user: wantedUser }),
    ...(terminalSize !== undefined && { terminalSize }),
  };
}

function keyOf(entry: string | Uint8Array): string {
  const text = typeof entry === "string" ? entry : Buffer.from(entry).toString("latin1");
  return text.slice(0, text.indexOf("="));
}
