import { LongshoreError, type HandlerContext, type Policy } from "@longshore/core";

/** Asks the policy before a call. Removing what the job's own attempt made needs no permission. */
export interface PolicyGate {
  /**
   * @param object e.g. `"sandbox:*"`
   * @param action e.g. `"execute"`
   * @throws {LongshoreError} `POLICY_DENIED`
   */
  assert(object: string, action: string): Promise<void>;
}

/** @param subject for whom it is asked */
export function policyGate(policy: Policy, subject: string, context: HandlerContext): PolicyGate {
  const { signal } = context;
  const domain = "*";
  return {
    async assert(object, action) {
      const request = { subject, domain, object, action };
      const { allowed, matchedRule } = await policy.check(request, { signal });
      if (allowed) return;
      throw new LongshoreError(
        "POLICY_DENIED",
        `The policy "${policy.name}" does not let ${subject} ${action} ${object}.`,
        { details: { subject, object, action, matchedRule: matchedRule ?? null } },
      );
    },
  };
}
