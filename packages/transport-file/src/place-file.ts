import { constants } from "node:fs";
import { join, parse } from "node:path";
import { hasCode } from "@longshore/core";
import type { FileCalls } from "./file-calls.ts";

export interface Placement {
  readonly calls: FileCalls;
  readonly directory: string;
  /** The name that is wanted; `<stem>-<n><ext>` when it is taken */
  readonly name: string;
  /** Files that will stand beside the file, from its stem: a name is taken when one of theirs is */
  readonly companions: readonly string[];
}

export interface Placed {
  readonly name: string;
  /** Whether the file has left its old place */
  readonly isMoved: boolean;
}

/**
 * Gives a file a second name in a directory without overwriting anything: making a hard link fails when the name exists.
 * Called again after a crash it finds the name it made. What can have no second name, such as a directory or another user's
 * link, is moved.
 */
export async function placeFile(path: string, placement: Placement): Promise<Placed> {
  const { calls, directory, name, companions } = placement;
  if (companions.length === 0) {
    try {
      await calls.link(path, join(directory, name));
      return { name, isMoved: false };
    } catch (error) {
      if (!hasCode(error, "EEXIST", "EPERM")) throw error;
    }
  }
  const { mode, nlink, ino, dev } = await calls.lstat(path);
  let isMoved = (mode & constants.S_IFMT) === constants.S_IFDIR;
  const isMine = async (candidate: string): Promise<boolean> => {
    const stats = await statIfThere(calls, join(directory, candidate));
    return stats?.ino === ino && stats.dev === dev;
  };
  // With one link only there is no earlier name to look for, and the search may leap.
  let number = isMoved || nlink === 1 ? await firstFree(placement) : 0;
  for (; ; number += 1) {
    const candidate = numbered(name, number);
    const target = join(directory, candidate);
    if (await isMine(candidate)) return { name: candidate, isMoved: false };
    if (await isTaken(placement, candidate)) continue;
    try {
      await (isMoved ? calls.rename(path, target) : calls.link(path, target));
      return { name: candidate, isMoved };
    } catch (error) {
      if (hasCode(error, "EEXIST", "ENOTEMPTY", "ENOTDIR")) continue;
      if (isMoved || !hasCode(error, "EPERM")) throw error;
      isMoved = true;
      number -= 1;
    }
  }
}

/** The lowest number that is free, when those below it are taken; one that is free, in any case. */
async function firstFree(placement: Placement): Promise<number> {
  const isFree = async (number: number): Promise<boolean> =>
    !(await isTaken(placement, numbered(placement.name, number)));
  if (await isFree(0)) return 0;
  let taken = 0;
  let free = 1;
  while (!(await isFree(free))) {
    taken = free;
    free *= 2;
  }
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2);
    if (await isFree(middle)) free = middle;
    else taken = middle;
  }
  return free;
}

async function isTaken(
  { calls, directory, companions }: Placement,
  name: string,
): Promise<boolean> {
  const stem = parse(name).name;
  for (const other of [name, ...companions.map((ending) => `${stem}${ending}`)]) {
    if ((await statIfThere(calls, join(directory, other))) !== undefined) return true;
  }
  return false;
}

async function statIfThere(
  calls: FileCalls,
  path: string,
): Promise<Awaited<ReturnType<FileCalls["lstat"]>> | undefined> {
  try {
    return await calls.lstat(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function numbered(name: string, number: number): string {
  const { name: stem, ext } = parse(name);
  return number === 0 ? name : `${stem}-${number}${ext}`;
}
