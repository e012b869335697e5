import { join, resolve } from "node:path";
import { LongshoreError } from "@longshore/core";
import { createToken, listTokens, revokeToken } from "@longshore/transport-http";
import Table from "cli-table3";
import { exitCodes } from "../exit-codes.ts";
import { openTerminal } from "../terminal.ts";

export interface TokenFlags {
  readonly home: string;
  readonly file?: string;
  readonly json?: boolean;
}

/** Makes a bearer token and prints it, once: the file has its digest alone. */
export async function createTokenCommand(
  name: string,
  flags: TokenFlags & { readonly expires?: string },
): Promise<number> {
  const terminal = openTerminal(flags);
  const subject = name.includes(":") ? name : `token:${name}`;
  const made = await createToken(fileOf(flags), {
    subject,
    ...(flags.expires !== undefined && { ttlMs: toMs(flags.expires) }),
  });
  // A file or a variable that it is written to is to hold the token, so that only --json wraps it.
  if (flags.json === true) {
    terminal.printJson({
      id: made.id,
      subject,
      token: made.token,
      file: fileOf(flags),
      ...(made.expiresAt !== undefined && { expires_at: made.expiresAt }),
    });
  } else {
    terminal.print(made.token);
    terminal.note(`token ${made.id} of ${subject}; it is shown this once`);
  }
  return exitCodes.ok;
}

/** Takes a token's rights away. */
export async function revokeTokenCommand(id: string, flags: TokenFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const { subject } = await revokeToken(fileOf(flags), id);
  if (terminal.isJson) terminal.printJson({ id, subject, revoked: true });
  else terminal.print(`revoked ${id} of ${subject}`);
  return exitCodes.ok;
}

/** Shows whose tokens there are. */
export async function listTokensCommand(flags: TokenFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const tokens = await listTokens(fileOf(flags));
  if (terminal.isJson) {
    for (const { id, subject, createdAt, expiresAt } of tokens) {
      terminal.printJson({ id, subject, created_at: createdAt, expires_at: expiresAt });
    }
    return exitCodes.ok;
  }
  const table = new Table({ head: ["id", "subject", "created", "expires"] });
  for (const { id, subject, createdAt, expiresAt = "never" } of tokens) {
    table.push([id, subject, createdAt, expiresAt]);
  }
  terminal.print(table.toString());
  return exitCodes.ok;
}

function fileOf({ home, file }: TokenFlags): string {
  return resolve(file ?? join(home, "tokens.json"));
}

const unitsMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function toMs(text: string): number {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  const unitMs = unitsMs[match?.[2] ?? ""];
  if (match !== null && unitMs !== undefined) return Number(match[1]) * unitMs;
  throw new LongshoreError("CONFIG_ERROR", `--expires: "${text}" is not a time like 12h or 30d.`);
}
