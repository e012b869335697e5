import { randomUUID } from "node:crypto";
import { parse } from "node:path";
import { isJobFileName } from "./layout.ts";

/** A message that belongs, or belonged, to a worker; its file name tells its attempt. */
export interface ClaimName {
  readonly attempt: number;
  /** Name of the file in the inbox */
  readonly name: string;
}

const pattern = /^(\d{1,6})~([0-9a-f]{12})~(.+)$/s;
/** Leaves room, within the 255 bytes of a file name, for what is put before and behind */
const maxNameBytes = 200;

/** A file name for a claim. It never clashes: two files of one name may be claimed one after the other. */
export function formatClaimName({ attempt, name }: ClaimName): string {
  return `${attempt}~${randomUUID().slice(-12)}~${name}`;
}

/** What a claim's file name says; `undefined` when no worker named it. */
export function parseClaimName(fileName: string): ClaimName | undefined {
  const [, attempt, , name] = pattern.exec(fileName) ?? [];
  return attempt === undefined || name === undefined || !isJobFileName(name)
    ? undefined
    : { attempt: Number(attempt), name };
}

/** The name itself, or the first part of one that is too long for the names made from it. */
export function shortenName(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const { name: stem, ext } = parse(name);
  const room = maxNameBytes - Buffer.byteLength(ext);
  // A character that was cut in two is left out.
  return `${Buffer.from(stem)
    .subarray(0, room)
    .toString()
    .replace(/\uFFFD+$/, "")}${ext}`;
}
