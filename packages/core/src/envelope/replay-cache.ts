/** One use of a nonce. */
export interface NonceUse {
  readonly kid: string;
  readonly nonce: string;
  /** Time up to which the message counts, so up to which its nonce must be remembered; in ms since the epoch */
  readonly expiresAtMs: number;
  readonly nowMs: number;
}

/**
 * Remembers which messages were received. Workers that share an audience must share one, for each only knows its own.
 */
export interface ReplayCache {
  /**
   * Notes a nonce, in one step: of two calls with the same one, only one gets `"new"`. `"full"` when it cannot be noted
   * without forgetting one that still counts.
   */
  remember(use: NonceUse): Promise<"new" | "seen" | "full">;
}

export interface ReplayCacheOptions {
  /** Nonces that still count, for each key: a busy signer cannot shut out another. @default 100_000 */
  readonly capacityPerKey?: number | undefined;
}

/** Nonces are forgotten together with all that expire in the same span. */
const spanMs = 10_000;

/** Nonces of one key. */
interface KeyNonces {
  readonly seen: Set<string>;
  readonly bySpan: Map<number, string[]>;
  /** Messages that end before this may have been forgotten */
  forgottenUpToMs: number;
  /** When there may be something to forget */
  nextSweepMs: number;
}

/**
 * A replay cache in memory. It starts empty: what was received within the last minutes before a restart could be sent
 * again, so what must never happen twice also needs an id of its own, as jobs have.
 *
 * @throws {RangeError} for a capacity that is not a whole number of 1 or more
 */
export function memoryReplayCache(options: ReplayCacheOptions = {}): ReplayCache {
  const { capacityPerKey = 100_000 } = options;
  if (!Number.isSafeInteger(capacityPerKey) || capacityPerKey < 1) {
    throw new RangeError(`capacityPerKey must be 1 or more, got ${capacityPerKey}`);
  }
  // Only keys that have made a valid signature get in, so there are no more than are trusted.
  const byKey = new Map<string, KeyNonces>();

  function noncesOf(kid: string): KeyNonces {
    let nonces = byKey.get(kid);
    if (nonces === undefined) {
      nonces = {
        seen: new Set(),
        bySpan: new Map(),
        forgottenUpToMs: -Infinity,
        nextSweepMs: -Infinity,
      };
      byKey.set(kid, nonces);
    }
    return nonces;
  }

  return {
    async remember({ kid, nonce, expiresAtMs, nowMs }) {
      const nonces = noncesOf(kid);
      if (nowMs >= nonces.nextSweepMs || nonces.seen.size >= capacityPerKey) {
        forgetExpired(nonces, nowMs);
      }
      // Only when the clock went back: the nonce may be among those that were forgotten.
      if (nonces.seen.has(nonce) || expiresAtMs < nonces.forgottenUpToMs) return "seen";
      if (nonces.seen.size >= capacityPerKey) return "full";
      nonces.seen.add(nonce);
      const span = Math.floor(expiresAtMs / spanMs);
      const inSpan = nonces.bySpan.get(span);
      if (inSpan === undefined) nonces.bySpan.set(span, [nonce]);
      else inSpan.push(nonce);
      return "new";
    },
  };
}

function forgetExpired(nonces: KeyNonces, nowMs: number): void {
  nonces.nextSweepMs = nowMs + spanMs;
  for (const [span, expired] of nonces.bySpan) {
    const endMs = (span + 1) * spanMs;
    if (endMs > nowMs) continue;
    for (const nonce of expired) nonces.seen.delete(nonce);
    nonces.bySpan.delete(span);
    nonces.forgottenUpToMs = Math.max(nonces.forgottenUpToMs, endMs);
  }
}
