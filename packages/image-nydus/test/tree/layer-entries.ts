import type { ByteString } from "../../src/tree/inode.ts";
import { endMark, paxEntry, tarEntry, type HeaderFields } from "../tar/tar-blocks.ts";

/** Small archives in one line: `layer(dir("d"), file("d/f", "content"))`. Times are the second 5. */
export function layer(...entries: readonly Buffer[]): Buffer {
  return Buffer.concat([...entries, endMark]);
}

export function file(name: ByteString, content = "x", fields: HeaderFields = {}): Buffer {
  return tarEntry({ name, mtime: 5, ...fields }, content);
}

export function dir(name: ByteString, fields: HeaderFields = {}): Buffer {
  return tarEntry({ name, type: "5", mode: 0o755, mtime: 5, ...fields });
}

export function symlink(name: ByteString, target: ByteString): Buffer {
  return tarEntry({ name, type: "2", mode: 0o777, mtime: 5, linkName: target });
}

export function hardlink(name: ByteString, target: ByteString, fields: HeaderFields = {}): Buffer {
  return tarEntry({ name, type: "1", mtime: 5, linkName: target, ...fields });
}

export function device(name: ByteString, fields: HeaderFields = {}): Buffer {
  return tarEntry({ name, type: "3", mtime: 5, major: 1, minor: 3, ...fields });
}

/** Puts extended attributes in front of an entry. */
export function withXattrs(
  xattrs: Readonly<Record<ByteString, ByteString>>,
  entry: Buffer,
): Buffer {
  const records = Object.entries(xattrs).map(
    ([name, value]) => [`SCHILY.xattr.${name}`, value] as const,
  );
  return Buffer.concat([paxEntry(records), entry]);
}
