import { LongshoreError } from "@longshore/core";
import type { Authenticator } from "./authenticator.ts";
import { tokenVerifier } from "./token-file.ts";

/**
 * `Authorization: Bearer …`, checked against a token file; see `createToken`.
 *
 * @param file is read again when it has changed
 */
export function bearerTokens(file: string): Authenticator {
  const tokens = tokenVerifier(file);
  return {
    name: "bearer",
    challenge: 'Bearer realm="longshore"',
    async authenticate({ incoming }) {
      const token = /^bearer +(\S+) *$/i.exec(incoming.headers.authorization ?? "")?.[1];
      if (token === undefined) return undefined;
      const subject = await tokens.verify(token).catch((error: unknown) => {
        throw new LongshoreError("UNAUTHENTICATED", "The token cannot be checked.", {
          cause: error,
        });
      });
      if (subject !== undefined) return subject;
      throw new LongshoreError("UNAUTHENTICATED", "The token is not known, or not good any more.");
    },
  };
}
