import { parseKeySet, parseSigningKey, type KeySet, type SigningKey } from "../../src/index.ts";

function base64url(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64url");
}

/** Key pairs of RFC 8032, section 7.1, tests 1 and 2: known to everyone, so of no use but for tests. */
export const rfc8032 = {
  test1: {
    d: base64url("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
    x: base64url("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
  },
  test2: {
    d: base64url("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
    x: base64url("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
  },
} as const;

export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly kid: string;
  readonly sub: string;
  readonly x: string;
  readonly [more: string]: unknown;
}

export function publicJwk(more: Readonly<Record<string, unknown>> = {}): PublicJwk {
  return {
    kty: "OKP",
    crv: "Ed25519",
    kid: "ci-1",
    sub: "service:ci",
    x: rfc8032.test1.x,
    ...more,
  };
}

/** The key `ci-1` of `service:ci`. */
export function ciKey(): SigningKey {
  return parseSigningKey({ ...publicJwk(), d: rfc8032.test1.d });
}

/** The key `ops-1` of `service:ops`. */
export function opsKey(): SigningKey {
  return parseSigningKey({
    ...publicJwk({ kid: "ops-1", sub: "service:ops" }),
    ...rfc8032.test2,
  });
}

/** Both public keys; `more` goes to the first. */
export function bothKeys(more: Readonly<Record<string, unknown>> = {}): KeySet {
  return parseKeySet({
    keys: [publicJwk(more), publicJwk({ kid: "ops-1", sub: "service:ops", x: rfc8032.test2.x })],
  });
}
