/** Bounds on what a sandbox may ask of the proxy. */
export interface EgressLimits {
  /** Connections of one sandbox at a time. @default 256 */
  readonly maxConnections: number;
  /** Request line and headers together. @default 32_768 */
  readonly maxHeaderBytes: number;
  /** For a request's headers, a TLS handshake, or a connection to the server. @default 15_000 */
  readonly headerTimeoutMs: number;
  /** For a connection on which nothing moves. @default 300_000 */
  readonly idleTimeoutMs: number;
}

export const defaultEgressLimits: EgressLimits = {
  maxConnections: 256,
  maxHeaderBytes: 32_768,
  headerTimeoutMs: 15_000,
  idleTimeoutMs: 300_000,
};

/** @throws {RangeError} */
export function checkEgressLimits(limits: EgressLimits): EgressLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number of 1 or more, got ${value}`);
    }
  }
  return limits;
}
