import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { ExecRequest, ExecSession } from "./exec-session.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { Abortable } from "../abortable.ts";

/** `RuntimeClient.exec` for the facade, to which a container that is not there means that the sandbox is gone. */
export async function execInSandbox(
  runtime: Pick<RuntimeClient, "exec">,
  request: ExecRequest,
  options?: Abortable,
): Promise<ExecSession> {
  try {
    return await runtime.exec(request, options);
  } catch (error) {
    if (!isLongshoreError(error, "NOT_FOUND")) throw error;
    throw new LongshoreError("SANDBOX_NOT_FOUND", "The sandbox is gone.", {
      cause: error,
      details: { containerId: request.containerId },
    });
  }
}
