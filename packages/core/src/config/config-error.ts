import { closest, distance } from "fastest-levenshtein";
import type { z } from "zod";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { RenamePlan } from "../job/rename-plan.ts";
import { toPath } from "../job/validation-error.ts";

/** Where keys come from, by dotted key: a file, a variable or `"a flag"`. */
export type ConfigOrigins = ReadonlyMap<string, string>;

interface ConfigIssue {
  readonly path: string;
  readonly message: string;
}

const maxIssues = 50;

/** `CONFIG_ERROR` with its issues in `details.issues`; the message names the first, and where it comes from. */
export function configError(
  error: z.ZodError,
  { plan, origins }: { readonly plan: RenamePlan; readonly origins: ConfigOrigins },
): LongshoreError {
  // A file may have tens of thousands of keys that nobody knows.
  const found = error.issues.flatMap(problemsOf).slice(0, maxIssues);
  const issues = found.map(({ path, key, message }): ConfigIssue => {
    const meant = key === undefined ? "" : didYouMean(path.slice(0, -1), key, plan);
    return { path: toPath(path), message: message + meant + originOf(path, origins) };
  });
  const [first = { path: "", message: "is not valid" }] = issues;
  const more = issues.length > 1 ? ", and more" : "";
  return new LongshoreError(
    "CONFIG_ERROR",
    `${first.path === "" ? "configuration" : first.path}: ${first.message}${more}`,
    { details: { issues } },
  );
}

interface Problem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of a key that is not known: the last of the path */
  readonly key?: string;
}

function problemsOf(issue: z.core.$ZodIssue): readonly Problem[] {
  const { path } = issue;
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  return issue.keys
    .slice(0, maxIssues)
    .map((key) => ({ path: [...path, key], key, message: "is not a known key" }));
}

/** Who said this key, or something below it, or all of what it is in. */
function originOf(path: readonly PropertyKey[], origins: ConfigOrigins): string {
  for (let length = path.length; length > 0; length -= 1) {
    const key = path.slice(0, length).map(String).join(".");
    const below = [...origins.keys()].find((other) => other.startsWith(`${key}.`));
    const origin = origins.get(key) ?? (below === undefined ? undefined : origins.get(below));
    if (origin !== undefined) return ` (${origin})`;
  }
  return "";
}

function didYouMean(path: readonly PropertyKey[], key: string, plan: RenamePlan): string {
  const section = path.filter((part) => typeof part !== "number");
  let level: RenamePlan | undefined = plan;
  for (const part of section) level = level?.toApi.get(String(part))?.plan;
  const known = [...(level?.toApi.keys() ?? [])];
  const guess = known.length === 0 ? undefined : closest(key, known);
  if (guess !== undefined && isAlike(key, guess)) {
    return `; did you mean ${toPath([...path, guess])}?`;
  }
  // The right name may stand in the wrong place.
  const elsewhere = [...keysOf(plan)].filter((other) => other.endsWith(`.${key}`));
  return elsewhere.length === 0 ? "" : `; did you mean ${elsewhere.join(" or ")}?`;
}

function isAlike(key: string, guess: string): boolean {
  const [one, other] = [key, guess].map((name) => name.toLowerCase().replaceAll(/[_-]/g, ""));
  return distance(one ?? "", other ?? "") <= Math.max(1, Math.floor(guess.length / 3));
}

/** Every key by its dotted path; those of maps and lists of free shape have none. */
function* keysOf(plan: RenamePlan, section = ""): Generator<string> {
  for (const [name, { plan: inner }] of plan.toApi) {
    yield section + name;
    if (inner !== undefined) yield* keysOf(inner, `${section}${name}.`);
  }
}
