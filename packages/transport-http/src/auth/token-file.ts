import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { hasCode, LongshoreError } from "@longshore/core";
import { z } from "zod";

const tokenEntry = z.strictObject({
  id: z.string().regex(/^[a-z0-9]{1,32}$/),
  subject: z.string().min(1).max(256),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().optional(),
});
const tokenFileSchema = z.strictObject({
  version: z.literal(1),
  tokens: z.array(tokenEntry).max(10_000),
});

type TokenEntry = z.infer<typeof tokenEntry>;

/** A bearer token as the file knows it: never the token itself. */
export interface TokenInfo {
  readonly id: string;
  /** Who it speaks for */
  readonly subject: string;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly expiresAt?: string | undefined;
}

export interface CreateTokenOptions {
  /** Policy subject, e.g. `"token:ci"` */
  readonly subject: string;
  /** Life in milliseconds. @default for ever */
  readonly ttlMs?: number | undefined;
}

/** Shows that a text is one of our tokens, to people and to programs that look for leaked secrets */
const tokenPrefix = "lsh";
const tokenPattern = new RegExp(`^${tokenPrefix}_([a-z0-9]{1,32})_[A-Za-z0-9_-]{43}$`);
const subjectPattern = /^[a-z]+:[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$/;

/**
 * Makes a token and writes its digest into the file, which is made when needed, for its owner's eyes only. The token is
 * given back once and is nowhere else.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a subject that is not one, `CONFIG_ERROR` for a file that is not one
 */
export async function createToken(
  file: string,
  { subject, ttlMs }: CreateTokenOptions,
): Promise<TokenInfo & { readonly token: string }> {
  if (!subjectPattern.test(subject)) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `"${subject.slice(0, 200)}" is not a subject like token:ci.`,
      { details: { field: "subject" } },
    );
  }
  const id = randomBytes(5).toString("hex");
  // 256 random bits cannot be guessed, so a fast digest keeps them as safe as a slow one would.
  const token = `${tokenPrefix}_${id}_${randomBytes(32).toString("base64url")}`;
  const entry: TokenEntry = {
    id,
    subject,
    sha256: digest(token).toString("hex"),
    created_at: new Date().toISOString(),
    ...(ttlMs !== undefined && { expires_at: new Date(Date.now() + ttlMs).toISOString() }),
  };
  await changeTokens(file, (tokens) => [...tokens, entry]);
  return { ...toInfo(entry), token };
}

/** Takes a token's rights away; a worker that serves with the file sees it at the next request. */
export async function revokeToken(file: string, id: string): Promise<TokenInfo> {
  let revoked: TokenEntry | undefined;
  await changeTokens(file, (tokens) => {
    revoked = tokens.find((entry) => entry.id === id);
    return tokens.filter((entry) => entry !== revoked);
  });
  if (revoked !== undefined) return toInfo(revoked);
  throw new LongshoreError("NOT_FOUND", `There is no token ${id} in ${file}.`, { details: { id } });
}

export async function listTokens(file: string): Promise<readonly TokenInfo[]> {
  return (await readTokens(file)).map(toInfo);
}

/** Whether a token is one of the file's, by its text. */
export interface TokenVerifier {
  /** The subject, or `undefined` for a token that is not good */
  verify(token: string): Promise<string | undefined>;
}

/** Reads the file again when it has changed. A file that is no token file lets nobody in. */
export function tokenVerifier(file: string): TokenVerifier {
  let version = "";
  let entries = new Map<string, TokenEntry>();

  async function refresh(): Promise<void> {
    const { mtimeNs, size, ino } = await stat(file, { bigint: true });
    const current = `${mtimeNs}:${size}:${ino}`;
    if (current === version) return;
    const tokens = await readTokens(file);
    entries = new Map(tokens.map((entry) => [entry.id, entry]));
    version = current;
  }

  return {
    async verify(token) {
      await refresh();
      const id = tokenPattern.exec(token)?.[1];
      const entry = id === undefined ? undefined : entries.get(id);
      if (entry === undefined) return undefined;
      if (!timingSafeEqual(digest(token), Buffer.from(entry.sha256, "hex"))) return undefined;
      const isLive = entry.expires_at === undefined || Date.parse(entry.expires_at) > Date.now();
      return isLive ? entry.subject : undefined;
    },
  };
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function toInfo({ id, subject, created_at, expires_at }: TokenEntry): TokenInfo {
  return {
    id,
    subject,
    createdAt: created_at,
    ...(expires_at !== undefined && { expiresAt: expires_at }),
  };
}

async function readTokens(file: string): Promise<readonly TokenEntry[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
  try {
    return tokenFileSchema.parse(JSON.parse(text)).tokens;
  } catch (error) {
    throw new LongshoreError("CONFIG_ERROR", `${file} is not a token file.`, { cause: error });
  }
}

/** Writing takes milliseconds: a file that is so old was left by a process that died */
const abandonedMs = 10_000;

async function removeAbandoned(temporary: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(temporary);
    if (Date.now() - mtimeMs > abandonedMs) await rm(temporary, { force: true });
  } catch {
    // It is not there, as it should be; whatever else is wrong shows when it is made.
  }
}

async function changeTokens(
  file: string,
  change: (tokens: readonly TokenEntry[]) => readonly TokenEntry[],
): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  await removeAbandoned(temporary);
  // Exclusive: of two that change the file at once, one is told to try again.
  const handle = await open(temporary, "wx", 0o600).catch((error: unknown) => {
    throw new LongshoreError("STATE_CONFLICT", `Another command writes ${file}; try again.`, {
      cause: error,
    });
  });
  try {
    const tokens = change(await readTokens(file));
    await handle.writeFile(`${JSON.stringify({ version: 1, tokens }, null, 2)}\n`);
    await handle.sync();
    await chmod(temporary, 0o600);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}
