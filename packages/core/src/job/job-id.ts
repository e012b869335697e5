import { monotonicFactory } from "ulid";

/** 1–128 letters, digits, `.`, `_`, `-`; starts with a letter or digit. */
export const jobIdPattern: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const nextUlid = monotonicFactory();

/** Whether a string can name a job. Such a name never leaves a directory it is joined to. */
export function isJobId(value: string): boolean {
  return jobIdPattern.test(value) && !value.includes("..");
}

/** A new id: `job-` and a ULID; ids made later in one process sort later. */
export function createJobId(): string {
  return `job-${nextUlid()}`;
}
