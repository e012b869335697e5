import { readFileSync } from "node:fs";
import { toByteString, type ByteString } from "../tree/inode.ts";

/** One line of `/proc/self/mountinfo`: something mounted where this process can see it. */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` of its files */
  readonly device: string;
  /** What of the filesystem is mounted */
  readonly root: ByteString;
  readonly target: ByteString;
  readonly options: readonly string[];
  readonly type: string;
  readonly source: ByteString;
  readonly superOptions: readonly string[];
}

/** Everything that is mounted, in the order the kernel lists it: what lies on top of something comes after it. */
export function listMounts(): MountInfo[] {
  // The kernel waits for no disk; asking another thread for each part of the text would take longer.
  return parseMountInfo(toByteString(readFileSync("/proc/self/mountinfo")));
}

/** Reads the text of a `mountinfo`, see proc_pid_mountinfo(5); lines that are none are left out. */
export function parseMountInfo(text: ByteString): MountInfo[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: ByteString): MountInfo | undefined {
  const fields = line.split(" ");
  // Optional fields of any number end with a single dash.
  const dash = fields.indexOf("-", 6);
  const [id, parentId, device, root, target, options] = fields;
  const [type, source, superOptions] = fields.slice(dash + 1);
  if (dash === -1 || type === undefined || source === undefined || target === undefined) {
    return undefined;
  }
  return {
    id: Number(id),
    parentId: Number(parentId),
    device: device ?? "",
    root: unescape(root ?? ""),
    target: unescape(target),
    options: (options ?? "").split(","),
    type: unescape(type),
    source: unescape(source),
    superOptions: (superOptions ?? "").split(",").map(unescape),
  };
}

/** Blanks, line ends and backslashes stand there as a backslash and three octal digits. */
function unescape(text: ByteString): ByteString {
  return text.replaceAll(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}
