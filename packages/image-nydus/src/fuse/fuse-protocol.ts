/**
 * Numbers of the FUSE protocol as the Linux kernel speaks it on `/dev/fuse`, see fuse(4) and `linux/fuse.h`. Everything is
 * little-endian here: the platforms Node runs on under Linux are, save for one that has no FUSE users.
 */

/** Version the requests and answers are written for; what the kernel has beyond it, it keeps to itself. */
export const protocol = { major: 7, minor: 40, minimumMinor: 31 } as const;

/** Requests that are answered otherwise than by "not implemented". */
export const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  access: 34,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  copyFileRange: 47,
  tmpfile: 51,
} as const;

/** Linux error numbers; the answer carries them negated. */
export const errno = {
  ENOENT: 2,
  EIO: 5,
  EINTR: 4,
  EAGAIN: 11,
  EROFS: 30,
  EINVAL: 22,
  ERANGE: 34,
  ENOSYS: 38,
  EPROTO: 71,
  ENODATA: 61,
  E2BIG: 7,
  EISDIR: 21,
  ENOTDIR: 20,
} as const;

/** What kernel and server agree on at the start; bits 0–31 and 32–63 of one set. */
export const initFlag = {
  asyncRead: 0x1n,
  doReaddirplus: 0x2000n,
  readdirplusAuto: 0x4000n,
  asyncDio: 0x8000n,
  noOpenSupport: 0x20000n,
  parallelDirops: 0x40000n,
  posixAcl: 0x100000n,
  maxPages: 0x400000n,
  cacheSymlinks: 0x800000n,
  noOpendirSupport: 0x1000000n,
  explicitInvalData: 0x2000000n,
  /** The set has a second half */
  initExt: 0x40000000n,
  allowIdmap: 0x10000000000n,
} as const;

export const openFlag = { keepCache: 0x2, cacheDirectory: 0x8 } as const;

/** Sizes of structures in bytes. */
export const sizeOf = {
  requestHeader: 40,
  replyHeader: 16,
  initReply: 64,
  attributes: 88,
  attributesReply: 104,
  entryReply: 128,
  openReply: 16,
  statfsReply: 80,
  getxattrReply: 8,
  directoryEntry: 24,
} as const;

/** The node id the kernel has for the root. */
export const rootNodeId = 1;
/** Pages of 4 KiB that one read asks for at most; the kernel caps it at `fs.fuse.max_pages_limit`. */
export const maxPages = 256;
export const maxReadBytes: number = maxPages * 4_096;
/** Nothing is written, but the kernel wants a number, and one page is its least. */
export const maxWriteBytes = 4_096;
/** More than the largest request to a read-only filesystem. */
export const requestBytes = 65_536;
