import type { FileTime } from "./inode.ts";

/** One object for all equal times: the files of a layer often have a few times only, or one. */
export interface SharedTimes {
  share(time: FileTime): FileTime;
}

const maxTimes = 4_096;

export function sharedTimes(): SharedTimes {
  const known = new Map<number, FileTime>();
  return {
    share(time) {
      // Of those with the same second, the last one.
      const before = known.get(time.seconds);
      if (before?.nanoseconds === time.nanoseconds) return before;
      if (known.size >= maxTimes) known.clear();
      known.set(time.seconds, time);
      return time;
    },
  };
}
