import { posix } from "node:path";
import type { FileChange } from "./file-watch.ts";
import { nulRecords } from "./nul-records.ts";
import type { WatchMethod } from "./watch-method.ts";

const events = ["create", "modify", "attrib", "delete", "moved_to", "moved_from", "delete_self"];

/** inotifywait(1) of inotify-tools: prints event names and a path, each ended by NUL. */
export function inotifyWatch(path: string, recursive: boolean): WatchMethod {
  return {
    command: [
      "inotifywait",
      "--monitor",
      ...(recursive ? ["--recursive"] : []),
      ...events.flatMap((event) => ["--event", event]),
      "--no-newline",
      "--format",
      "%e%0%w%f%0",
      path,
    ],
    async *changes({ stdout, stderr }) {
      let text = "";
      for await (const chunk of stderr) {
        text = (text + Buffer.from(chunk).toString("latin1")).slice(-4_096);
        // Said once every directory is watched.
        if (text.includes("established")) break;
      }
      yield "ready";
      let names: string | undefined;
      for await (const record of nulRecords(stdout)) {
        if (names === undefined) {
          names = record;
          continue;
        }
        const change = toChange(names.split(","), { path: record, root: path });
        names = undefined;
        if (change !== undefined) yield change;
      }
    },
  };
}

function toChange(
  names: readonly string[],
  { path, root }: { readonly path: string; readonly root: string },
): FileChange | undefined {
  const has = (...wanted: readonly string[]): boolean => wanted.some((one) => names.includes(one));
  if (has("Q_OVERFLOW", "OVERFLOW")) return { type: "overflow", path: root };
  const at = path.endsWith("/") ? path.slice(0, -1) : path;
  if (has("CREATE", "MOVED_TO")) return { type: "created", path: at };
  if (has("DELETE", "MOVED_FROM")) return { type: "removed", path: at };
  // Directories below say so in the one above them.
  if (has("DELETE_SELF")) {
    return posix.resolve(at) === posix.resolve(root) ? { type: "removed", path: at } : undefined;
  }
  if (has("MODIFY", "ATTRIB") && !has("ISDIR")) return { type: "modified", path: at };
  return undefined;
}
