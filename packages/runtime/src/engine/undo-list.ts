import type { Logger } from "@longshore/core";

/** What must be taken back when a call fails half-way; in reverse order, each step whatever the others do. */
export interface UndoList {
  add(what: string, undo: () => Promise<unknown> | void): void;
  /** Never rejects: what cannot be undone now is found at the next start. */
  run(): Promise<void>;
}

export function undoList(logger: Logger): UndoList {
  const steps: { readonly what: string; readonly undo: () => Promise<unknown> | void }[] = [];
  return {
    add: (what, undo) => void steps.push({ what, undo }),
    async run() {
      for (const { what, undo } of steps.splice(0).toReversed()) {
        try {
          await undo();
        } catch (error) {
          logger.error({ what, error }, "a half-made thing could not be undone");
        }
      }
    },
  };
}
