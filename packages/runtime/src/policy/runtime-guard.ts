import {
  LongshoreError,
  type Abortable,
  type ContainerRef,
  type PodSandboxRef,
  type Policy,
} from "@longshore/core";
import type { Runtime } from "../calls/runtime-calls.ts";

/** Who calls, and in which domain. */
export interface PolicySubject {
  /** e.g. `"local:ada"` */
  readonly subject: string;
  /** Tenant or type. @default "*" */
  readonly domain?: string | undefined;
  /** Annotation in which a sandbox's owner is kept. @default "worker.dev/subject" */
  readonly subjectAnnotation?: string | undefined;
}

/**
 * Asks the policy about one caller. Prefixes of ids are resolved before, so that what is allowed is what is done: each
 * answer is the full id to go on with.
 */
export interface RuntimeGuard {
  readonly subject: string;
  readonly subjectAnnotation: string;
  /** @throws {LongshoreError} `POLICY_DENIED` */
  require(object: string, action: string, options?: Abortable): Promise<void>;
  onSandbox(request: PodSandboxRef, action: Action, options?: Abortable): Promise<PodSandboxRef>;
  onContainer(request: ContainerRef, action: Action, options?: Abortable): Promise<ContainerRef>;
}

/** `manage` is also given to whoever made the sandbox and may `execute` there. */
type Action = "query" | "execute" | "manage";

export function runtimeGuard(runtime: Runtime, policy: Policy, who: PolicySubject): RuntimeGuard {
  const { subject, domain = "*", subjectAnnotation = "worker.dev/subject" } = who;

  const require = async (object: string, action: string, options?: Abortable): Promise<void> => {
    const decision = await policy.check({ subject, domain, object, action }, options);
    if (decision.allowed) return;
    throw new LongshoreError("POLICY_DENIED", `${subject} may not ${action} ${object}.`, {
      details: { subject, domain, object, action, matchedRule: decision.matchedRule },
    });
  };

  const requireOn = async (
    { object, sandboxId }: { readonly object: string; readonly sandboxId: string | undefined },
    action: Action,
    options?: Abortable,
  ): Promise<void> => {
    const isOwner = action === "manage" && (await ownerOf(sandboxId, options)) === subject;
    try {
      await require(object, action, options);
    } catch (error) {
      if (!isOwner || !(error instanceof LongshoreError)) throw error;
      await require(object, "execute", options);
    }
  };

  const ownerOf = async (
    id: string | undefined,
    options?: Abortable,
  ): Promise<string | undefined> => {
    if (id === undefined) return undefined;
    const [sandbox] = await runtime.listPodSandbox({ id }, options);
    return sandbox?.annotations[subjectAnnotation];
  };

  return {
    subject,
    subjectAnnotation,
    require,
    async onSandbox({ podSandboxId }, action, options) {
      const [found] = await runtime.listPodSandbox({ id: checked(podSandboxId) }, options);
      const id = found?.id ?? podSandboxId;
      await requireOn({ object: `sandbox:${id}`, sandboxId: found?.id }, action, options);
      return { podSandboxId: id };
    },
    async onContainer({ containerId }, action, options) {
      const [found] = await runtime.listContainers({ id: checked(containerId) }, options);
      const id = found?.id ?? containerId;
      await requireOn(
        { object: `container:${id}`, sandboxId: found?.podSandboxId },
        action,
        options,
      );
      return { containerId: id };
    },
  };
}

/** In a filter an empty id would mean any. */
function checked(id: string): string {
  if (typeof id === "string" && id !== "") return id;
  throw new LongshoreError("VALIDATION_ERROR", "An id is a text that is not empty.");
}
