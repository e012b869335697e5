import { LongshoreError } from "@longshore/core/errors";
import type { ByteString } from "./inode.ts";
import type { TreeInode } from "./tree-inode.ts";

const maxTargetSize = 4095;

/**
 * Checks a name of a directory.
 *
 * @param describe the path, for the error
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED` beyond 255 bytes
 */
export function checkName(name: ByteString, describe: () => string): void {
  if (name.length > 255) {
    throw new LongshoreError("LIMIT_EXCEEDED", `The name in "${describe()}" exceeds 255 bytes`);
  }
  const isForbidden = name === "" || name === "." || name === ".." || name.includes("/");
  if (isForbidden || name.includes("\0") || !isBytes(name)) {
    throw new LongshoreError("VALIDATION_ERROR", `"${describe()}" is no path that a file can have`);
  }
}

/**
 * Checks the attributes of a file that is to be put into a tree.
 *
 * @param describe its path, for the error
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED` for a target beyond 4,095 bytes
 */
export function checkInode(inode: TreeInode, describe: () => string): void {
  const { mode, uid, gid, mtime } = inode;
  const expect = (holds: boolean, field: string, expected: string): void => {
    if (holds) return;
    throw new LongshoreError("VALIDATION_ERROR", `"${describe()}": ${field} must be ${expected}`, {
      details: { field, expected },
    });
  };
  expect(isWithin(mode, 0o7777), "mode", "0 to 0o7777");
  expect(isWithin(uid, 0xffff_ffff), "uid", "32 bits");
  expect(isWithin(gid, 0xffff_ffff), "gid", "32 bits");
  expect(Number.isSafeInteger(mtime.seconds), "mtime.seconds", "a whole number");
  expect(isWithin(mtime.nanoseconds, 999_999_999), "mtime.nanoseconds", "0 to 999999999");
  for (const name of inode.xattrs.keys()) {
    expect(
      name !== "" && !name.includes("\0") && isBytes(name),
      "xattrs",
      "named by bytes other than zero",
    );
  }
  switch (inode.kind) {
    case "file":
      expect(isWithin(inode.size, Number.MAX_SAFE_INTEGER), "size", "a whole number from 0 on");
      return;
    case "symlink":
      checkTarget(inode.target, describe);
      return;
    case "character-device":
    case "block-device":
      expect(isWithin(inode.device.major, 0xfff), "device.major", "0 to 4095");
      expect(isWithin(inode.device.minor, 0xf_ffff), "device.minor", "0 to 1048575");
      return;
    case "directory":
    case "fifo":
    case "socket":
      return;
    default:
      inode satisfies never;
  }
}

function checkTarget(target: ByteString, describe: () => string): void {
  if (target.length > maxTargetSize) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The symlink "${describe()}" has a target of ${target.length} bytes; Linux allows ${maxTargetSize}`,
    );
  }
  if (target === "" || target.includes("\0") || !isBytes(target)) {
    throw new LongshoreError("VALIDATION_ERROR", `The symlink "${describe()}" has no valid target`);
  }
}

function isWithin(value: number, maximum: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= maximum;
}

function isBytes(text: string): boolean {
  for (let index = 0; index < text.length; index += 1)
    if (text.charCodeAt(index) > 0xff) return false;
  return true;
}
