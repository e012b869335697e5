import type { RuntimeCase } from "./runtime-case.ts";
import type { RuntimeAbility } from "./suite-options.ts";

interface CaseOptions {
  /** A runtime that lacks one of these skips the case. @default [] */
  readonly needs?: readonly RuntimeAbility[] | undefined;
  /** @default 60_000 */
  readonly timeoutMs?: number | undefined;
}

/** Declares one behaviour. */
export type Check = (
  title: string,
  run: (tools: RuntimeCase) => Promise<void>,
  options?: CaseOptions,
) => void;

/** The cases of one part of the contract. */
export type CaseGroup = (check: Check) => void;

/** Declares cases that all need the same. */
export function needing(check: Check, ...needs: readonly RuntimeAbility[]): Check {
  return (title, run, options = {}) => {
    check(title, run, { ...options, needs: [...needs, ...(options.needs ?? [])] });
  };
}

/**
 * An optional method, which a runtime that does not say it lacks the ability must have.
 *
 * @throws {Error} when the runtime has no such method
 */
export function method<Method>(given: Method | undefined, name: string): Method {
  if (given !== undefined) return given;
  throw new Error(`the runtime has no ${name}; say so with \`lacks\``);
}
