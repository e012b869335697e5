/** A line of `/proc/PID/mountinfo`. */
export interface MountInfo {
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** Whether mounts made here show in the peers of its group */
  readonly isShared: boolean;
  /** Whether mounts made elsewhere show here */
  readonly isSlave: boolean;
  readonly filesystem: string;
  readonly superOptions: readonly string[];
}

/**
 * Mounts of a mountinfo file, in its order.
 *
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 */
export function parseMountInfo(text: string): readonly MountInfo[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.split(" ");
    const end = fields.indexOf("-", 6);
    const [mountPoint, options] = fields.slice(4, 6);
    const [filesystem, , superOptions] = fields.slice(end + 1);
    if (end === -1 || mountPoint === undefined || options === undefined) return [];
    const optional = fields.slice(6, end);
    return [
      {
        mountPoint: unescapePath(mountPoint),
        options: options.split(","),
        isShared: optional.some((field) => field.startsWith("shared:")),
        isSlave: optional.some((field) => field.startsWith("master:")),
        filesystem: filesystem ?? "",
        superOptions: (superOptions ?? "").split(","),
      },
    ];
  });
}

/** Blanks, line ends and backslashes are written as three octal digits, byte by byte. */
function unescapePath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}
