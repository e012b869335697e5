import { describe, it } from "vitest";

/** A case of a suite that an implementation cannot pass, and why. */
export type SkippedCases = Readonly<Record<string, string>>;

/** Declares one case. */
export type DeclareCase = (
  name: string,
  run: () => Promise<void>,
  options?: {
    readonly timeoutMs?: number | undefined;
    /** Why it cannot be run here, for reasons that the suite knows itself */
    readonly skipReason?: string | undefined;
  },
) => void;

/** Declares a suite's cases; those that are skipped show their reason. */
export function suite(
  title: string,
  skip: SkippedCases,
  declare: (test: DeclareCase) => void,
): void {
  describe(title, () => {
    const names = new Set<string>();
    declare((name, run, { timeoutMs, skipReason } = {}) => {
      if (names.has(name)) throw new Error(`the suite "${title}" has two cases "${name}"`);
      names.add(name);
      const reason = skip[name] ?? skipReason;
      if (reason === undefined) it(name, run, timeoutMs);
      else it.skip(`${name} (not offered: ${reason})`, run);
    });
    for (const name of Object.keys(skip)) {
      if (!names.has(name)) throw new Error(`the suite "${title}" has no case "${name}" to skip`);
    }
  });
}
