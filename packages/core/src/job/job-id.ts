import { monotonicFactory } from "ulid";

const maxLength = 128;

/** Letters, digits, `.`, `_`, `-`; starts with a letter or digit; never two dots in a row. Length is up to 128. */
export const jobIdPattern: RegExp = /^[A-Za-z0-9](\.?[A-Za-z0-9_-])*\.?$/;

const nextUlid = monotonicFactory();

/** Whether a string can name a job. Such a name never leaves a directory it is joined to. */
export function isJobId(value: string): boolean {
  return value.length <= maxLength && jobIdPattern.test(value);
}

/** A new id: `job-` and a ULID; ids made later in one process sort later. */
export function createJobId(): string {
  return `job-${nextUlid()}`;
}
