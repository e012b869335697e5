import type { Policy } from "./policy.ts";

/** Says no to everything. */
export function denyAllPolicy(): Policy {
  return {
    name: "deny-all",
    async check(_request, { signal } = {}) {
      signal?.throwIfAborted();
      return { allowed: false };
    },
  };
}

/** Says yes to everything: for programs that only run their own jobs. */
export function allowAllPolicy(): Policy {
  return {
    name: "allow-all",
    async check(_request, { signal } = {}) {
      signal?.throwIfAborted();
      return { allowed: true, matchedRule: "allow-all" };
    },
  };
}
