import { isLongshoreError } from "@longshore/core";

/** Code and field with which something was refused: `"VALIDATION_ERROR user"`; fails when it was not. */
export async function refusal(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    if (!isLongshoreError(error)) throw error;
    return `${error.code} ${String(error.details?.["field"])}`;
  }
  throw new Error("It was not refused.");
}
