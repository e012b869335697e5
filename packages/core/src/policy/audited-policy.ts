import { createHash } from "node:crypto";
import type { EventBus } from "../events/event-bus.ts";
import { eventTopic } from "../events/event-topic.ts";
import type { Policy, PolicyRequest } from "./policy.ts";

/** Data of the event `policy.{subject}.denied`. */
export interface PolicyDenial extends PolicyRequest {
  readonly allowed: false;
  /** Rule that decided; absent when nothing matched */
  readonly matchedRule?: string | undefined;
}

/** Longest subject that stands in a topic as it is; each of its characters may take three there. */
const maxSubjectBytes = 128;

/** Tells every denial on the bus as `policy.{subject}.denied`, with the request and the rule that decided. */
export function auditedPolicy(policy: Policy, events: EventBus): Policy {
  return {
    name: policy.name,
    async check(request, options) {
      const decision = await policy.check(request, options);
      if (!decision.allowed) {
        const { subject, domain, object, action } = request;
        const denial: PolicyDenial = {
          subject,
          domain,
          object,
          action,
          allowed: false,
          matchedRule: decision.matchedRule,
        };
        void events.publish(eventTopic("policy", topicSubject(subject), "denied"), denial, {
          entityType: "subject",
        });
      }
      return decision;
    },
  };
}

/** Whoever is denied must not keep it from the record by a name that fits no topic. */
function topicSubject(subject: string): string {
  if (subject === "") return "none";
  if (Buffer.byteLength(subject) <= maxSubjectBytes) return subject;
  return `sha256:${createHash("sha256").update(subject).digest("hex")}`;
}
