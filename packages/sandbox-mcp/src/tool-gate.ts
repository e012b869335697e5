import { isLongshoreError, LongshoreError } from "@longshore/core";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import type { SandboxMcpOptions, ToolLimits } from "./sandbox-mcp-options.ts";

/** Lets calls of tools through that the policy allows, and turns what goes wrong into a tool's error. */
export type ToolGate = (
  object: `tool:${string}`,
  signal: AbortSignal,
  call: () => Promise<CallToolResult>,
) => Promise<CallToolResult>;

export function toolGate(
  { policy, subject, domain = "*" }: SandboxMcpOptions,
  { maxConcurrentCalls }: ToolLimits,
): ToolGate {
  let calls = 0;

  const assertAllowed = async (object: string, signal: AbortSignal): Promise<void> => {
    const request = { subject, domain, object, action: "execute" };
    // A policy that fails has not said yes.
    const decision = await policy.check(request, { signal }).catch(() => ({ allowed: false }));
    signal.throwIfAborted();
    if (decision.allowed) return;
    throw new LongshoreError("POLICY_DENIED", `${subject} may not execute ${object}.`);
  };

  return async (object, signal, call) => {
    if (calls >= maxConcurrentCalls) {
      const message = `${maxConcurrentCalls} calls are running already; wait for one of them.`;
      return toolError(new LongshoreError("LIMIT_EXCEEDED", message));
    }
    calls += 1;
    try {
      await assertAllowed(object, signal);
      return await call();
    } catch (error) {
      return toolError(error);
    } finally {
      calls -= 1;
    }
  };
}

/** An answer that says what went wrong, for the model to read. */
export function toolError(error: unknown, more = ""): CallToolResult {
  const reason = error instanceof Error ? error.message : String(error);
  const text = isLongshoreError(error) ? `${error.code}: ${reason}` : reason;
  return { isError: true, content: [{ type: "text", text: `${text}${more}` }] };
}
