import { randomBytes } from "node:crypto";

/** A message that belongs, or belonged, to a worker; its file name tells its attempt. */
export interface ClaimName {
  readonly attempt: number;
  /** Name of the file in the inbox */
  readonly name: string;
}

const pattern = /^(\d{1,6})~([0-9a-f]{12})~(.+)$/s;

/** A file name for a claim. It never clashes: two files of one name may be claimed one after the other. */
export function formatClaimName({ attempt, name }: ClaimName): string {
  return `${attempt}~${randomBytes(6).toString("hex")}~${name}`;
}

export function parseClaimName(fileName: string): ClaimName | undefined {
  const [, attempt, , name] = pattern.exec(fileName) ?? [];
  return attempt === undefined || name === undefined
    ? undefined
    : { attempt: Number(attempt), name };
}
