import type { Abortable } from "../abortable.ts";

/** May `subject`, in `domain`, do `action` to `object`? */
export interface PolicyRequest {
  /** `local:<user>`, `token:<user>`, `peer:<name>`, `service:<name>`, `container:<sandbox>` or `anonymous` */
  readonly subject: string;
  /** Tenant or type; `"*"` when there is none */
  readonly domain: string;
  /** Resource, e.g. `"job:default/system.echo"` */
  readonly object: string;
  /** E.g. `"execute"`, `"query"`, `"manage"` */
  readonly action: string;
}

export interface PolicyDecision {
  readonly allowed: boolean;
  /** Rule that decided, for the audit record; absent when nothing matched */
  readonly matchedRule?: string | undefined;
}

/** Decides who may do what. An implementation fails closed: no match, or an error inside, is a no. */
export interface Policy {
  readonly name: string;
  /** Never rejects but for an abort. */
  check(request: PolicyRequest, options?: Abortable): Promise<PolicyDecision>;
}
