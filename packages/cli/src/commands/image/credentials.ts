import { LongshoreError, type AuthConfig } from "@longshore/core";

export interface CredentialFlags {
  readonly username?: string;
  readonly passwordStdin?: boolean;
}

/** More than any password or token has. */
const maxPasswordBytes = 65_536;

/**
 * The credentials that flags name, with the password from standard input so that no list of processes shows it. `undefined`
 * without them: those of Docker's configuration are used then.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` when only half of them are given
 */
export async function readCredentials(
  flags: CredentialFlags,
  input: AsyncIterable<Buffer | string> = process.stdin,
): Promise<AuthConfig | undefined> {
  const { username, passwordStdin = false } = flags;
  if (username === undefined && !passwordStdin) return undefined;
  if (username === undefined || !passwordStdin) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      "--username and --password-stdin belong together: pipe the password in.",
    );
  }
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of input) {
    const bytes = Buffer.from(piece);
    size += bytes.length;
    if (size > maxPasswordBytes) {
      throw new LongshoreError("CONFIG_ERROR", "What came from standard input is no password.");
    }
    pieces.push(bytes);
  }
  const password = Buffer.concat(pieces)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (password === "") {
    throw new LongshoreError("CONFIG_ERROR", "No password came from standard input.");
  }
  return { username, password };
}
