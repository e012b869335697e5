import { eventTopic, type EventBus, type Logger } from "@longshore/core";

/** Why a connection or request was refused. */
export type EgressDenialReason =
  | "rule"
  | "address"
  | "server-name"
  | "protocol"
  | "placeholder"
  | "malformed"
  | "limit";

/** Data of `worker.{sandboxId}.egress-allowed` and `egress-denied`. */
export interface EgressDecision {
  readonly host: string;
  readonly port: number;
  /** The rule that allowed it */
  readonly rule?: string | undefined;
  /** Absent when it was allowed */
  readonly reason?: EgressDenialReason | undefined;
}

/** Tells decisions about one sandbox. */
export interface DecisionEvents {
  tell(decision: EgressDecision): void;
}

/** A sandbox that asks a thousand times a second must not flood the bus: as many at once, then as many a second. */
const burst = 50;
const perSecond = 10;

export function decisionEvents(
  sandboxId: string,
  events: EventBus | undefined,
  logger: Logger,
): DecisionEvents {
  let tokens = burst;
  let filledAt = performance.now();
  let suppressed = 0;

  return {
    tell(decision) {
      if (events === undefined) return;
      const now = performance.now();
      tokens = Math.min(burst, tokens + ((now - filledAt) / 1_000) * perSecond);
      filledAt = now;
      if (tokens < 1) {
        suppressed += 1;
        return;
      }
      tokens -= 1;
      const name = decision.reason === undefined ? "egress-allowed" : "egress-denied";
      const data = suppressed === 0 ? decision : { ...decision, suppressed };
      suppressed = 0;
      events
        .publish(
          eventTopic("worker", sandboxId, name),
          { sandboxId, ...data },
          { entityType: "sandbox" },
        )
        .catch((error: unknown) => {
          logger.warn({ sandboxId, error }, "an egress decision could not be told");
        });
    },
  };
}
