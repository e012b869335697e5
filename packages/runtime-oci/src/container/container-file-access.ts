import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { Readable } from "node:stream";
import {
  LongshoreError,
  type Abortable,
  type DriverProcess,
  type FileEntry,
  type FileStat,
  type SandboxFiles,
} from "@longshore/core";
import type { Connection } from "../monitor/connection.ts";
import { filesProgram } from "../perl/files-program.ts";
import { perlArguments } from "../perl/perl-program.ts";
import { collectText, perlError } from "../perl/perl-report.ts";
import { capabilityMask } from "../spec/capability-names.ts";
import type { OciSpec } from "../spec/oci-spec.ts";
import type { ContainerContext } from "./container-context.ts";
import { runInMonitor } from "./run-in-monitor.ts";

const maxListBytes = 16_777_216;
const maxPathBytes = 4_096;

interface Access extends Abortable {
  readonly stdin?: boolean;
}

/** The files of a running container, without a program of its image: by a process that its monitor starts in its mounts. */
export function containerFileAccess(context: ContainerContext, orders: Connection): SandboxFiles {
  const identity = readIdentity(context.directory);
  identity.catch(() => undefined);

  const start = async (words: readonly string[], { signal, stdin = false }: Access = {}) => {
    signal?.throwIfAborted();
    checkPath(words[1] ?? "");
    const [, program = "", , table = ""] = perlArguments(filesProgram, []);
    const name = `exec-${randomBytes(8).toString("hex")}`;
    const request = { type: "F", name, spec: { stdin, tty: false } } as const;
    const all = [program, table, ...(await identity), ...words];
    return runInMonitor(context, { ...request, words: all }, { signal, orders });
  };
  /** Waits for what was started; an abort ends it. */
  const output = async (
    process: DriverProcess,
    { path, maxBytes, signal }: Abortable & { readonly path: string; readonly maxBytes: number },
  ): Promise<Buffer> => {
    const onAbort = (): void => void process.kill();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const errors = collectText(process.stderr);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of process.stdout) {
        size += chunk.length;
        if (size > maxBytes) {
          await process.kill();
          throw new LongshoreError(
            "LIMIT_EXCEEDED",
            `${path} has more than the ${maxBytes} bytes allowed.`,
            { details: { path, maxBytes } },
          );
        }
        chunks.push(chunk);
      }
      const { exitCode } = await process.exit;
      signal?.throwIfAborted();
      if (exitCode !== 0) throw fileError(path, await errors);
      return Buffer.concat(chunks);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  };
  const run = async (words: readonly string[], options: Abortable = {}): Promise<Buffer> => {
    const process = await start(words, options);
    return output(process, { path: words[1] ?? "", maxBytes: maxListBytes, ...options });
  };

  const files: SandboxFiles = {
    async read(path, { maxBytes = 16_777_216, signal } = {}) {
      return output(await start(["read", path], { signal }), { path, maxBytes, signal });
    },
    async readText(path, options) {
      return Buffer.from(await files.read(path, options)).toString("utf8");
    },
    async write(path, content, { mode, signal } = {}) {
      checkName(path);
      const part = `.${randomBytes(9).toString("hex")}.part`;
      const bits = mode === undefined ? "" : String(mode & 0o7777);
      const process = await start(["write", path, bits, part], { signal, stdin: true });
      const end = output(process, { path, maxBytes: maxListBytes, signal });
      end.catch(() => undefined);
      try {
        const chunks =
          typeof content === "string" || content instanceof Uint8Array ? [content] : content;
        for await (const chunk of chunks) {
          signal?.throwIfAborted();
          // One that has ended takes nothing more, and says why below.
          await Promise.race([process.stdin.write(chunk), end]);
        }
        await process.stdin.end();
        await end;
      } catch (error) {
        await process.kill();
        await end.catch(() => undefined);
        // What went wrong matters more than a leftover; the container may be gone altogether.
        await run(["remove", posix.join(posix.dirname(path), part)]).catch(() => undefined);
        throw error;
      }
    },
    async list(path, options) {
      const text = (await run(["list", path], options)).toString("utf8");
      const entries = text.split("\0").slice(0, -1).map(parseEntry);
      return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async stat(path, options) {
      const text = (await run(["stat", path], options)).toString("latin1");
      return text === "" ? undefined : parseStat(text.split(" "));
    },
    async mkdir(path, options) {
      await run(["mkdir", path], options);
    },
    async remove(path, { recursive = false, signal } = {}) {
      checkName(path);
      await run(["remove", path, recursive ? "1" : ""], { signal });
    },
    readStream(path, options = {}) {
      checkPath(path);
      const { signal } = options;
      async function* bytes(): AsyncGenerator<Uint8Array> {
        const process = await start(["read", path], { signal });
        try {
          const errors = collectText(process.stderr);
          yield* process.stdout;
          if ((await process.exit).exitCode !== 0) throw fileError(path, await errors);
        } finally {
          await process.kill();
        }
      }
      return Readable.from(bytes(), { objectMode: false, signal });
    },
  };
  return files;
}

/** Who the container's first process was started as: user, groups and capabilities, as the program takes them. */
async function readIdentity(directory: string): Promise<readonly string[]> {
  // This program wrote it.
  const text = await readFile(join(directory, "config.json"), "utf8");
  const { process } = JSON.parse(text) as OciSpec;
  const { uid, gid, additionalGids } = process.user;
  const mask = capabilityMask(process.capabilities.effective);
  const halves = [mask & 0xff_ff_ff_ffn, mask >> 32n];
  return [String(uid), String(gid), additionalGids.join(","), ...halves.map(String)];
}

/** The last part of a path must name something. */
function checkName(path: string): void {
  checkPath(path);
  if (!["", ".", ".."].includes(posix.basename(path)) && !path.endsWith("/")) return;
  throw invalid(path, "The path of a file ends with its name.");
}

function checkPath(path: string): void {
  const isFit =
    path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= maxPathBytes;
  if (isFit) return;
  throw invalid(
    path,
    `A path in a sandbox is absolute, without NUL, and at most ${maxPathBytes} bytes long.`,
  );
}

function invalid(path: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, { details: { path: path.slice(0, 200) } });
}

function fileError(path: string, report: string): LongshoreError {
  const error = perlError(`use ${path}`, report);
  const errno = error.details?.["errno"];
  if (errno !== "ENOENT") return error;
  return new LongshoreError("NOT_FOUND", `Nothing is at ${path}.`, { details: { path } });
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
