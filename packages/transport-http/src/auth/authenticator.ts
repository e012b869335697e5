import type { IncomingMessage } from "node:http";

/** What an authenticator is shown of a request. */
export interface Credentials {
  readonly incoming: IncomingMessage;
  /** Method, and path with query, as the client sent them */
  readonly method: string;
  readonly target: string;
  body(): Promise<Uint8Array>;
}

/**
 * Tells who sends a request. Several may be asked in turn: the first that finds credentials of its kind decides.
 *
 * @throws {LongshoreError} `UNAUTHENTICATED`, or what is wrong with a signature, for credentials that are not good
 */
export interface Authenticator {
  readonly name: string;
  /** Whether it looks at client certificates: then the server asks for them, and needs `tls.clientCa`. @default false */
  readonly readsCertificates?: boolean | undefined;
  /** What `WWW-Authenticate` says of it */
  readonly challenge?: string | undefined;
  /** The policy subject; `undefined` when the request has no credentials of this kind */
  authenticate(credentials: Credentials): Promise<string | undefined>;
}
