import type { EventOperation } from "./operation.ts";
import type { Statements } from "./statements.ts";

/** As `keptEvents` and `trimEvery` of core, which the thread does not load */
const keptEvents = 10_000;
const trimEvery = 1_000;

/** Stores an event of a job that is known, and sees to it that no later one gets its number. */
export function keepEvent(
  statements: Statements,
  [, jobId, sequence, event]: EventOperation,
): undefined {
  statements.insertEvent.run(sequence, event, jobId);
  statements.raiseSequence.run(sequence + 1, jobId, sequence + 1);
  if (sequence >= keptEvents && sequence % trimEvery === 0) {
    statements.trimEvents.run(jobId, sequence - keptEvents);
  }
}
