import { createHash } from "node:crypto";
import {
  LongshoreError,
  memoryReplayCache,
  signEnvelope,
  verifyEnvelope,
  type KeySet,
  type ReplayCache,
  type SigningKey,
} from "@longshore/core";
import type { Authenticator } from "./authenticator.ts";

export interface SignedRequestsOptions {
  readonly keys: KeySet;
  /** To whom requests must speak: the worker's id */
  readonly audience: string;
  /** @default one in memory: a request can be replayed after a restart, for as long as it counts */
  readonly replayCache?: ReplayCache | undefined;
}

/** A request to sign. */
export interface RequestToSign {
  /** The worker's id */
  readonly audience: string;
  readonly method: string;
  /** Path with query, e.g. `"/jobs?limit=5"` */
  readonly target: string;
  readonly body?: string | Uint8Array | undefined;
}

/** Where the envelope travels: base64url of its JSON */
const headerName = "x-longshore-envelope";

/**
 * Requests signed with Ed25519 envelopes of purpose `rpc`. The envelope covers method, target and body, so it fits no
 * other request, and it counts once.
 */
export function signedRequests(options: SignedRequestsOptions): Authenticator {
  const { keys, audience, replayCache = memoryReplayCache() } = options;
  return {
    name: "envelope",
    challenge: 'Envelope realm="longshore"',
    async authenticate({ incoming, method, target, body }) {
      const header = incoming.headers[headerName];
      if (typeof header !== "string") return undefined;
      const payload = digestOf(method, target, await body());
      const { subject } = await verifyEnvelope(Buffer.from(header, "base64url"), {
        keys,
        replayCache,
        audience,
        purpose: "rpc",
        detachedPayload: payload,
        maxBytes: 16_384,
      }).catch((error: unknown) => {
        throw error instanceof LongshoreError && error.code === "INVALID_BODY"
          ? new LongshoreError("SIGNATURE_INVALID", error.message, { cause: error })
          : error;
      });
      return subject;
    },
  };
}

/** The header that signs a request for {@link signedRequests}. */
export function signRequest(
  { audience, method, target, body = "" }: RequestToSign,
  key: SigningKey,
): Readonly<Record<string, string>> {
  const envelope = signEnvelope(
    { purpose: "rpc", audience, detachedPayload: digestOf(method, target, Buffer.from(body)) },
    key,
  );
  return { [headerName]: Buffer.from(JSON.stringify(envelope)).toString("base64url") };
}

/** What is signed: a line each for the method, the target and the body's sha256. */
function digestOf(method: string, target: string, body: Uint8Array): Uint8Array {
  const digest = createHash("sha256").update(body).digest("hex");
  return Buffer.from(`${method}\n${target}\n${digest}`);
}
