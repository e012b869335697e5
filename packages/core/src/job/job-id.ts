import { monotonicFactory } from "ulid";

const maxLength = 128;

/** Letters, digits, `.`, `_`, `-`; starts with a letter or digit; never two dots in a row. Length is up to 128. */
export const jobIdPattern: RegExp = /^[A-Za-z0-9](\.?[A-Za-z0-9_-])*\.?$/;

/** Random bytes for many ids: the library asks for one number per character. */
const pool = new Uint8Array(4_096);
let place = pool.length;

const nextUlid = monotonicFactory(() => {
  if (place === pool.length) {
    crypto.getRandomValues(pool);
    place = 0;
  }
  const byte = pool[place] ?? 0;
  place += 1;
  return byte / 256;
});

/** Whether a string can name a job. Such a name never leaves a directory it is joined to. */
export function isJobId(value: string): boolean {
  return value.length <= maxLength && jobIdPattern.test(value);
}

/** A new id: `job-` and a ULID; ids made later in one process sort later. */
export function createJobId(): string {
  return `job-${nextUlid()}`;
}
