import type { JobDocument } from "../job/job-document.ts";

/** The operation whose handler runs a job: of one that is not for a handler of its own, its mode's, e.g. `process.run`. */
export function handledOperation({ operation, runtime }: JobDocument): string {
  const mode = runtime?.mode ?? "handler";
  return mode === "handler" ? operation : `${mode}.run`;
}
