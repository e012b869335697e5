import type { EventBus } from "../events/event-bus.ts";
import { eventTopic } from "../events/event-topic.ts";
import type { Policy } from "./policy.ts";

/** Tells every denial on the bus as `policy.{subject}.denied`, with the request and the rule that matched. */
export function auditedPolicy(policy: Policy, events: EventBus): Policy {
  return {
    name: policy.name,
    async check(request, options) {
      const decision = await policy.check(request, options);
      if (!decision.allowed) {
        void events.publish(
          eventTopic("policy", request.subject, "denied"),
          { ...request, ...decision },
          { entityType: "subject" },
        );
      }
      return decision;
    },
  };
}
