import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import { containerTools, failed } from "./container-tools.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { FileEntry, FileStat, SandboxFiles } from "./sandbox-files.ts";
import { checkPath } from "./sandbox-path.ts";
import { watchFiles } from "./watch-files.ts";

const maxListBytes = 16_777_216;
/** Raw mode in hex, size, seconds since 1970: numbers only, so that no file name can be taken for one */
const statFormat = "%f %s %Y";

/**
 * Files of a container by way of the tools that nearly every image has: head, cat, tee, mv, mkdir, rm, chmod, stat, find,
 * test, tar (GNU or BusyBox). Paths are arguments of their own and start with `/`: no shell and no option parser reads
 * them.
 */
export function execFiles(runtime: RuntimeClient, containerId: string): Required<SandboxFiles> {
  const tools = containerTools(runtime, containerId);
  const { tool, onPath, exists } = tools;

  const files: Required<SandboxFiles> = {
    async read(path, { maxBytes = 16_777_216, signal } = {}) {
      checkPath(path);
      // One byte more tells a file that is too long from one that just fits, without reading it all.
      const { stdout } = await onPath(path, ["head", "-c", String(maxBytes + 1), path], {
        maxOutputBytes: maxBytes + 1,
        signal,
      });
      const content = stdout.bytes();
      if (content.length <= maxBytes) return content;
      throw tooLong(`${path} has more than the ${maxBytes} bytes allowed.`, { path, maxBytes });
    },
    async readText(path, options) {
      return Buffer.from(await files.read(path, options)).toString("utf8");
    },
    async write(path, content, { mode, signal } = {}) {
      checkPath(path);
      const directory = posix.dirname(path);
      await onPath(directory, ["mkdir", "-p", directory], { signal });
      const part = posix.join(directory, `.${randomBytes(9).toString("hex")}.part`);
      try {
        await onPath(directory, ["tee", part], { stdin: content, stdout: false, signal });
        if (mode !== undefined) {
          await onPath(part, ["chmod", (mode & 0o7777).toString(8), part], { signal });
        }
        await onPath(part, ["mv", "-f", "-T", part, path], { signal });
      } catch (error) {
        // What went wrong matters more than a leftover; the sandbox may be gone altogether.
        await tool(["rm", "-f", part]).catch(() => undefined);
        throw error;
      }
    },
    async list(path, { signal } = {}) {
      checkPath(path);
      // "/." makes find refuse a file and follow a link. An entry that vanishes meanwhile is not printed.
      const each = ["-exec", "stat", "-c", statFormat, "{}", ";", "-print0"];
      const cmd = [
        "find",
        posix.join(path, "/") + ".",
        "-mindepth",
        "1",
        "-maxdepth",
        "1",
        ...each,
      ];
      const { stdout } = await onPath(path, cmd, { maxOutputBytes: maxListBytes, signal });
      if (stdout.droppedBytes() > 0) throw tooLong(`${path} has too many entries.`, { path });
      const entries = stdout.bytes().toString("utf8").split("\0").slice(0, -1);
      return entries.map(parseEntry).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async stat(path, { signal } = {}) {
      checkPath(path);
      const { exit, stdout, stderr } = await tool(["stat", "-L", "-c", statFormat, path], {
        signal,
      });
      if (exit.exitCode === 0) return parseStat(stdout.bytes().toString("utf8"));
      if (!(await exists(path, signal))) return undefined;
      throw failed(path, stderr.bytes().toString("utf8").trim().slice(0, 500));
    },
    async mkdir(path, { signal } = {}) {
      checkPath(path);
      await onPath(path, ["mkdir", "-p", path], { signal });
    },
    async remove(path, { recursive = false, signal } = {}) {
      checkPath(path);
      if (posix.normalize(path) === "/") {
        throw new LongshoreError("VALIDATION_ERROR", "The root directory cannot be removed.");
      }
      await onPath(path, ["rm", recursive ? "-rf" : "-f", path], { signal });
    },
    readStream(path, options) {
      checkPath(path);
      return tools.stream(path, ["cat", path], options);
    },
    packTar(path, options) {
      checkPath(path);
      const { dir, base } = posix.parse(posix.resolve(path));
      // "./" in front keeps a name from being an option.
      return tools.stream(path, ["tar", "-c", "-f", "-", "-C", dir, `./${base}`], options);
    },
    async unpackTar(tar, path, { signal } = {}) {
      checkPath(path);
      await onPath(path, ["mkdir", "-p", path], { signal });
      await onPath(path, ["tar", "-x", "-o", "-f", "-", "-C", path], {
        stdin: tar,
        stdout: false,
        signal,
      });
    },
    watch(path, options) {
      checkPath(path);
      return watchFiles(tools, path, options);
    },
  };
  return files;
}

function parseEntry(text: string): FileEntry {
  const lineEnd = text.indexOf("\n");
  const path = text.slice(lineEnd + 1);
  return { ...parseStat(text.slice(0, lineEnd)), name: posix.basename(path) };
}

function parseStat(text: string): FileStat {
  const match = /^([0-9a-f]+) (\d+) (-?\d+)\n?$/.exec(text);
  const [, mode, size, seconds] = match ?? [];
  if (mode === undefined) {
    throw new LongshoreError("IO_ERROR", `The image's stat printed ${JSON.stringify(text)}.`);
  }
  const bits = Number.parseInt(mode, 16);
  return {
    type: fileType(bits),
    size: Number(size),
    mode: bits & 0o7777,
    modifiedAtMs: Number(seconds) * 1_000,
  };
}

function fileType(mode: number): FileStat["type"] {
  switch (mode & 0o170000) {
    case 0o100000:
      return "file";
    case 0o040000:
      return "directory";
    case 0o120000:
      return "symlink";
    default:
      return "other";
  }
}

function tooLong(message: string, details: Readonly<Record<string, unknown>>): LongshoreError {
  return new LongshoreError("LIMIT_EXCEEDED", message, { details });
}
