import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { create, extract } from "tar";
import type { Abortable } from "../abortable.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";

export interface UnpackOptions extends Abortable {
  /** Bytes of all files together. @default 10_737_418_240 */
  readonly maxBytes?: number | undefined;
  /** @default 1_000_000 */
  readonly maxEntries?: number | undefined;
  /** What to do with an entry that leads out of the tree, or is a device or pipe. @default "refuse" */
  readonly unsafeEntries?: "refuse" | "skip" | undefined;
}

/** What is checked of an entry of an archive. */
interface Entry {
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly linkpath?: string | undefined;
}

/** A tar archive of what is in a local directory. Links stay links; owners are left out. */
export async function packDirectory(directory: string): Promise<AsyncIterable<Uint8Array>> {
  const names = await readdir(directory);
  // "./" in front: a name that begins with "@" would be read as an archive. The directory itself is left out, so that
  // the one it is unpacked into keeps its mode. An archive of nothing is two blocks of zeros.
  if (names.length === 0) return blocks();
  return create(
    { cwd: directory, portable: true },
    names.map((name) => `./${name}`),
  );
}

async function* blocks(): AsyncGenerator<Uint8Array, undefined> {
  yield new Uint8Array(1_024);
}

/**
 * Unpacks an archive that holds one file or tree named `name` and puts that at a local path. The archive is not trusted:
 * it is unpacked into a new directory beside the path, of which no entry may lead out; set-id bits and owners are left
 * out. Only the whole tree appears at the path, or nothing.
 *
 * @throws {LongshoreError} `STATE_CONFLICT` when something is at the path that is not a file to be replaced by a file, or an
 *   empty directory to be replaced by a directory; `LIMIT_EXCEEDED`; `VALIDATION_ERROR` for an archive that is not safe;
 *   `IO_ERROR`
 */
export async function unpackTree(
  archive: Readable,
  { name, to, ...options }: UnpackOptions & { readonly name: string; readonly to: string },
): Promise<void> {
  const { signal } = options;
  const target = resolve(to);
  await mkdir(dirname(target), { recursive: true });
  const part = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.part`);
  await mkdir(part, { mode: 0o700 });
  try {
    await unpackInto(part, archive, { ...options, name });
    await place(join(part, name), target);
  } catch (error) {
    signal?.throwIfAborted();
    if (isLongshoreError(error)) throw error;
    throw new LongshoreError("IO_ERROR", `${to} could not be written: ${messageOf(error)}`, {
      cause: error,
      details: { path: to },
    });
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** Rejects only once nothing more is written. */
async function unpackInto(
  cwd: string,
  archive: Readable,
  { name, signal, ...limits }: UnpackOptions & { readonly name: string },
): Promise<void> {
  const problems: unknown[] = [];
  const check = entryCheck(name, limits);
  const sink = extract({
    cwd,
    strict: true,
    preserveOwner: false,
    filter: (_path, entry) => {
      if ("mode" in entry && typeof entry.mode === "number") entry.mode &= 0o777;
      try {
        return problems.length === 0 && check(entry as unknown as Entry);
      } catch (error) {
        // Thrown from here it would pass by everybody who waits.
        problems.push(error);
        return false;
      }
    },
  });
  sink.on("error", (error: unknown) => problems.push(error));
  const closed = new Promise<void>((done) => sink.once("close", done));
  let wake = (): void => undefined;
  for (const event of ["drain", "close"] as const) sink.on(event, () => wake());
  try {
    for await (const chunk of addAbortSignal(signal ?? new AbortController().signal, archive)) {
      const isFull = !sink.write(chunk as Buffer);
      if (problems.length > 0) break;
      if (isFull) {
        await new Promise<void>((done) => {
          wake = done;
        });
      }
    }
  } catch (error) {
    problems.unshift(error);
  }
  sink.end();
  await closed;
  if (problems.length > 0) throw problems[0];
}

async function place(source: string, target: string): Promise<void> {
  const [found, present] = await Promise.all([
    lstat(source),
    lstat(target).catch(() => undefined), // nothing is there: the usual case
  ]);
  const isFree =
    present === undefined ||
    (present.isDirectory() && found.isDirectory() && (await readdir(target)).length === 0) ||
    (present.isFile() && found.isFile());
  if (!isFree) {
    throw new LongshoreError("STATE_CONFLICT", `${target} exists; name a path that is free.`, {
      details: { path: target },
    });
  }
  await rename(source, target);
}

/** Counts entries and refuses, or leaves out, those that are not safe. */
function entryCheck(
  name: string,
  { maxBytes = 10_737_418_240, maxEntries = 1_000_000, unsafeEntries = "refuse" }: UnpackOptions,
): (entry: Entry) => boolean {
  let bytes = 0;
  let entries = 0;
  return (entry) => {
    bytes += entry.size;
    entries += 1;
    if (bytes > maxBytes || entries > maxEntries) {
      throw new LongshoreError(
        "LIMIT_EXCEEDED",
        `The archive has more than ${maxBytes} bytes or ${maxEntries} entries.`,
        { details: { maxBytes, maxEntries } },
      );
    }
    const problem = problemOf(entry, name);
    if (problem === undefined) return true;
    if (unsafeEntries === "skip") return false;
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `The archive's entry ${JSON.stringify(entry.path.slice(0, 200))} ${problem}.`,
      { details: { path: entry.path.slice(0, 200) } },
    );
  };
}

function problemOf({ path, type, linkpath = "" }: Entry, name: string): string | undefined {
  const inside = pathInside(path, name);
  if (inside === undefined) return "leads out of the tree";
  switch (type) {
    case "File":
    case "OldFile":
    case "ContiguousFile":
    case "Directory":
      return undefined;
    case "SymbolicLink":
      return isSafeLink(inside, linkpath) ? undefined : "is a link that leads out of the tree";
    case "Link":
      return pathInside(linkpath, name) === undefined
        ? "is a link that leads out of the tree"
        : undefined;
    default:
      return `is a ${type}`;
  }
}

/** The names that lead to an entry from the tree's root, which has none; `undefined` for what is not in the tree. */
function pathInside(path: string, name: string): readonly string[] | undefined {
  if (path.startsWith("/")) return undefined;
  const [root, ...inside] = namesOf(path);
  return root === name && !inside.includes("..") ? inside : undefined;
}

/**
 * A target may go up from where the link stands, but not beyond the tree, and not after it went down: `a/..` is not where
 * it seems to be when `a` is itself a link.
 */
function isSafeLink(inside: readonly string[], target: string): boolean {
  if (target.startsWith("/")) return false;
  const names = namesOf(target);
  const first = names.findIndex((part) => part !== "..");
  const ups = first === -1 ? names.length : first;
  return ups < inside.length && !names.slice(ups).includes("..");
}

function namesOf(path: string): readonly string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
