import { z } from "zod";

type Labels = Readonly<Record<string, string>>;

/** Whether a rule about other jobs or workers can be kept here, and if not, why. */
export type AffinityProblem = { readonly message: string } | undefined;

const expression = z.strictObject({
  key: z.string().min(1),
  operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
  values: z.array(z.string()).default([]),
});

const term = z.strictObject({
  match_labels: z.record(z.string(), z.string()).default({}),
  match_expressions: z.array(expression).default([]),
});

const terms = z.array(term).max(64).default([]);

/** Preferences choose among workers; they turn none away. The old form, a plain map, is nothing else. */
const affinitySchema = z.union([
  z.strictObject({ required: terms, preferred: z.array(z.unknown()).optional() }),
  z.record(z.string(), z.string()).transform(() => ({ required: [] })),
]);

const antiAffinitySchema = z.strictObject({
  required: terms,
  preferred: z.array(z.unknown()).optional(),
  concurrent_jobs: z.array(z.string()).max(1_024).default([]),
});

/** Required affinity: the worker's labels must fit one of the terms. What cannot be read is not ignored. */
export function affinityProblem(affinity: unknown, labels: Labels): AffinityProblem {
  if (affinity === undefined || affinity === null) return undefined;
  const parsed = affinitySchema.safeParse(affinity);
  if (!parsed.success) return { message: "It has a form that this worker does not know." };
  const { required } = parsed.data;
  if (required.length === 0 || required.some((wanted) => isFitting(wanted, labels))) {
    return undefined;
  }
  return { message: "The worker's labels fit none of the required terms." };
}

/** Anti-affinity: the worker's labels must fit no term, and no job that is named may run here. */
export function antiAffinityProblem(
  antiAffinity: unknown,
  labels: Labels,
  isRunning: (jobId: string) => boolean,
): AffinityProblem {
  if (antiAffinity === undefined || antiAffinity === null) return undefined;
  const parsed = antiAffinitySchema.safeParse(antiAffinity);
  if (!parsed.success) return { message: "It has a form that this worker does not know." };
  const { required, concurrent_jobs: jobs } = parsed.data;
  if (required.some((unwanted) => isFitting(unwanted, labels))) {
    return { message: "The worker's labels fit a term that is ruled out." };
  }
  const running = jobs.find(isRunning);
  return running === undefined ? undefined : { message: `The job ${running} runs here.` };
}

/** As in Kubernetes, a term that asks for nothing fits nothing. */
function isFitting(wanted: z.infer<typeof term>, labels: Labels): boolean {
  const pairs = Object.entries(wanted.match_labels);
  if (pairs.length + wanted.match_expressions.length === 0) return false;
  return (
    pairs.every(([key, value]) => labelOf(labels, key) === value) &&
    wanted.match_expressions.every((one) => isTrue(one, labels))
  );
}

function isTrue({ key, operator, values }: z.infer<typeof expression>, labels: Labels): boolean {
  const value = labelOf(labels, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      return operator satisfies never;
  }
}

function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
