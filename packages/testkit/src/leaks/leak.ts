/** Something that was left behind. */
export interface Leak {
  readonly kind:
    | "process"
    | "mount"
    | "network namespace"
    | "network interface"
    | "nft rule"
    | "cgroup"
    | "loop device"
    | "directory entry";
  /** Tells it from every other of its kind, also from a later one of the same name */
  readonly id: string;
  /** For people: what it is and where */
  readonly text: string;
}

/** What counts as one's own. Other programs and tests of the machine go on meanwhile, and are none of it. */
export interface LeakScope {
  /** Parts of paths and names, e.g. of a cgroup, mount or nft table */
  readonly marks: readonly string[];
  /** Directories whose mounts, and whose users, count */
  readonly roots: readonly string[];
  /** Beginnings of names of network interfaces */
  readonly linkPrefixes: readonly string[];
  /** Directories whose entries count */
  readonly directories: readonly string[];
  /** Process whose descendants count */
  readonly ancestorPid: number;
  /** `NAME=value` in the environment of processes that count, wherever they went */
  readonly token: string;
}

/** Whether a text has one of the marks in it, or the path of a root. */
export function isMarked(text: string, { marks, roots }: LeakScope): boolean {
  return marks.some((mark) => text.includes(mark)) || roots.some((root) => isBelow(text, root));
}

function isBelow(text: string, root: string): boolean {
  const start = text.indexOf(root);
  if (start === -1) return false;
  const after = text[start + root.length];
  return after === undefined || !/[\w.-]/.test(after);
}
