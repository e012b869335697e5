import {
  close,
  closeSync,
  fstat,
  fstatSync,
  linkSync,
  lutimesSync,
  lstatSync,
  open,
  openSync,
  read,
  readSync,
  renameSync,
  unlinkSync,
  writeFile,
  writeFileSync,
  type Stats,
} from "node:fs";
import { link, lstat, lutimes, rename, unlink } from "node:fs/promises";
import { promisify } from "node:util";

const newFileMode = 0o644;

type Awaitable<T> = T | Promise<T>;

/** The calls that each job needs, a dozen of them; they throw or reject as those of Node do. */
export interface FileCalls {
  open(path: string, flags: string | number): Awaitable<number>;
  fstat(fd: number): Awaitable<Stats>;
  /** Reads from the start. Returns how many bytes there were. */
  read(fd: number, buffer: Uint8Array): Awaitable<number>;
  write(fd: number, content: string | Uint8Array): Awaitable<void>;
  close(fd: number): Awaitable<void>;
  lstat(path: string): Awaitable<Stats>;
  rename(from: string, to: string): Awaitable<void>;
  link(existing: string, name: string): Awaitable<void>;
  unlink(path: string): Awaitable<void>;
  /** Sets the modification time of the file itself, also of a link */
  utimes(path: string, at: Date): Awaitable<void>;
}

/**
 * For a disk of this machine: each call takes some microseconds, far less than the way to a thread and back. What waits
 * for the disk itself, fsync, is not among them.
 */
export const directCalls: FileCalls = {
  open: (path, flags) => openSync(path, flags, newFileMode),
  fstat: (fd) => fstatSync(fd),
  read: (fd, buffer) => readSync(fd, buffer, 0, buffer.byteLength, 0),
  write(fd, content) {
    writeFileSync(fd, content);
  },
  close(fd) {
    closeSync(fd);
  },
  lstat: (path) => lstatSync(path),
  rename(from, to) {
    renameSync(from, to);
  },
  link(existing, name) {
    linkSync(existing, name);
  },
  unlink(path) {
    unlinkSync(path);
  },
  utimes(path, at) {
    lutimesSync(path, at, at);
  },
};

const openFile = promisify(open);
const statFile = promisify(fstat);
const readFile = promisify(read);
const writeText = promisify(writeFile);
const closeFile = promisify(close);

/** For a network file system: any call may take as long as the network pleases, and the event loop goes on meanwhile. */
export const threadedCalls: FileCalls = {
  open: (path, flags) => openFile(path, flags, newFileMode),
  fstat: (fd) => statFile(fd),
  async read(fd, buffer) {
    const { bytesRead } = await readFile(fd, buffer, 0, buffer.byteLength, 0);
    return bytesRead;
  },
  write: (fd, content) => writeText(fd, content),
  close: (fd) => closeFile(fd),
  lstat: (path) => lstat(path),
  rename: (from, to) => rename(from, to),
  link: (existing, name) => link(existing, name),
  unlink: (path) => unlink(path),
  utimes: (path, at) => lutimes(path, at, at),
};
