import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { Readable } from "node:stream";
import type { Abortable, FileEntry, FileStat, SandboxFiles } from "@longshore/core";
import type { Connection } from "../monitor/connection.ts";
import { filesProgram } from "../perl/files-program.ts";
import { treeProgram } from "../perl/tree-program.ts";
import type { ContainerContext } from "./container-context.ts";
import { checkPath, fileProcesses, invalid, type FileOrder } from "./file-process.ts";
import { watchContainerFiles } from "./watch-container-files.ts";

const maxListBytes = 16_777_216;

/** The files of a running container, without a program of its image: by a process that its monitor starts in its mounts. */
export function containerFileAccess(
  context: ContainerContext,
  orders: Connection,
): Required<SandboxFiles> {
  const processes = fileProcesses(context, orders);
  const order = (...words: FileOrder["words"]): FileOrder => ({ program: filesProgram, words });
  const run = async (what: FileOrder, { signal }: Abortable = {}): Promise<Buffer> =>
    processes.output(what, { maxBytes: maxListBytes, signal });
  const readable = (what: FileOrder, { signal }: Abortable = {}): Readable =>
    Readable.from(processes.stream(what, { signal }), { objectMode: false, signal });

  const files: Required<SandboxFiles> = {
    async read(path, { maxBytes = 16_777_216, signal } = {}) {
      return processes.output(order("read", path), { maxBytes, signal });
    },
    async readText(path, options) {
      return Buffer.from(await files.read(path, options)).toString("utf8");
    },
    async write(path, content, { mode, signal } = {}) {
      checkName(path);
      const part = `.${randomBytes(9).toString("hex")}.part`;
      const bits = mode === undefined ? "" : String(mode & 0o7777);
      const input =
        typeof content === "string" || content instanceof Uint8Array ? [content] : content;
      try {
        await processes.feed(order("write", path, bits, part), input, { signal });
      } catch (error) {
        // What went wrong matters more than a leftover; the container may be gone altogether.
        await run(order("remove", posix.join(posix.dirname(path), part))).catch(() => undefined);
        throw error;
      }
    },
    async list(path, options) {
      const text = (await run(order("list", path), options)).toString("utf8");
      const entries = text.split("\0").slice(0, -1).map(parseEntry);
      return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async stat(path, options) {
      const text = (await run(order("stat", path), options)).toString("latin1");
      return text === "" ? undefined : parseStat(text.split(" "));
    },
    async mkdir(path, options) {
      await run(order("mkdir", path), options);
    },
    async remove(path, { recursive = false, signal } = {}) {
      checkName(path);
      await run(order("remove", path, recursive ? "1" : ""), { signal });
    },
    readStream(path, options) {
      checkPath(path);
      return readable(order("read", path), options);
    },
    packTar(path, options) {
      checkPath(path);
      const { dir, base } = posix.parse(posix.resolve(path));
      return readable({ program: treeProgram, words: ["pack", dir, base || "."] }, options);
    },
    async unpackTar(tar, path, { signal } = {}) {
      await processes.feed({ program: treeProgram, words: ["unpack", path] }, tar, { signal });
    },
    watch: (path, options) => watchContainerFiles(processes, path, options),
  };
  return files;
}

/** The last part of a path must name something. */
function checkName(path: string): void {
  checkPath(path);
  if (!["", ".", ".."].includes(posix.basename(path)) && !path.endsWith("/")) return;
  throw invalid(path, "The path of a file ends with its name.");
}

function parseEntry(text: string): FileEntry {
  const [mode = "", size = "", seconds = "", ...name] = text.split(" ");
  return { ...parseStat([mode, size, seconds]), name: name.join(" ") };
}

function parseStat([mode, size, seconds]: readonly string[]): FileStat {
  const bits = Number(mode);
  return {
    type: types.get(bits & 0o170000) ?? "other",
    size: Number(size),
    mode: bits & 0o7777,
    modifiedAtMs: Number(seconds) * 1_000,
  };
}

/** See inode(7). */
const types: ReadonlyMap<number, FileStat["type"]> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "symlink"],
]);
