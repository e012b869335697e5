import type { RootfsIdMappings } from "@longshore/core";
import type { ByteString } from "../tree/inode.ts";
import { mapId } from "./id-mappings.ts";

/** Translates whom files belong to between a user namespace and the host. */
export interface OwnerShift {
  uid(id: number): number;
  gid(id: number): number;
  /** An extended attribute's value, whose ids may stand in it: access lists and capabilities. */
  xattr(name: ByteString, value: Buffer): Buffer;
}

export interface OwnerShiftOptions {
  readonly to: "host" | "container";
  /** Answers for an id that is not mapped, or throws */
  unmapped(kind: "user" | "group", id: number): number;
}

export function ownerShift(
  { uids, gids }: RootfsIdMappings,
  { to, unmapped }: OwnerShiftOptions,
): OwnerShift {
  const uid = (id: number): number => mapId(uids, id, to) ?? unmapped("user", id);
  const gid = (id: number): number => mapId(gids, id, to) ?? unmapped("group", id);
  return {
    uid,
    gid,
    xattr(name, value) {
      if (name === "security.capability") return shiftCapability(value, uid, to);
      if (!name.startsWith("system.posix_acl_")) return value;
      return shiftAcl(value, { uid, gid });
    },
  };
}

/** Tags of entries that name somebody, see `linux/posix_acl.h` */
const aclUser = 0x02;
const aclGroup = 0x08;

/** Access lists, version 2: four bytes of version, then eight per entry (tag, permissions, id). */
function shiftAcl(value: Buffer, { uid, gid }: Pick<OwnerShift, "uid" | "gid">): Buffer {
  if (value.length < 4 || value.readUInt32LE(0) !== 2) return value;
  const shifted = Buffer.from(value);
  for (let at = 4; at + 8 <= shifted.length; at += 8) {
    const tag = shifted.readUInt16LE(at);
    if (tag !== aclUser && tag !== aclGroup) continue;
    const id = shifted.readUInt32LE(at + 4);
    shifted.writeUInt32LE(tag === aclUser ? uid(id) : gid(id), at + 4);
  }
  return shifted;
}

const revisionMask = 0xff00_0000;
const revision2 = 0x0200_0000;
const revision3 = 0x0300_0000;

/**
 * Capabilities of a file, see capabilities(7): version 2 is for the namespace of its filesystem, version 3 names the root of
 * one. On the host those of a namespace must name it, or they would count outside, too.
 */
function shiftCapability(value: Buffer, uid: OwnerShift["uid"], to: "host" | "container"): Buffer {
  if (value.length < 4) return value;
  const magic = value.readUInt32LE(0);
  const revision = (magic & revisionMask) >>> 0;
  const isNamed = revision === revision3 && value.length === 24;
  if (!isNamed && !(revision === revision2 && value.length === 20)) return value;
  // In a container's own view, what has no name is its root's already.
  if (!isNamed && to === "container") return value;
  const root = uid(isNamed ? value.readUInt32LE(20) : 0);
  const sets = value.subarray(4, 20);
  const flags = magic & ~revisionMask;
  const header = Buffer.alloc(4);
  if (to === "container" && root === 0) {
    header.writeUInt32LE((revision2 | flags) >>> 0);
    return Buffer.concat([header, sets]);
  }
  header.writeUInt32LE((revision3 | flags) >>> 0);
  const rootId = Buffer.alloc(4);
  rootId.writeUInt32LE(root);
  return Buffer.concat([header, sets, rootId]);
}
