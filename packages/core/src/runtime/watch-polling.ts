import type { FileChange } from "./file-watch.ts";
import { nulRecords } from "./nul-records.ts";
import type { WatchMethod } from "./watch-method.ts";

// A fixed text; path, pause and depth are its arguments. Mode in hex, size, inode and times tell a file from its later
// self; the name comes last, because it may hold anything.
const script = `while :; do
  find -H "$1" -maxdepth "$3" -exec stat -c '%f|%s|%i|%y|%z|%n' {} +
  printf '\\0'
  sleep "$2"
done`;

interface Polling {
  readonly path: string;
  readonly recursive: boolean;
  readonly intervalMs: number;
}

interface Seen {
  readonly isDirectory: boolean;
  readonly state: string;
}

/** find and stat of the image, GNU's or BusyBox's, in a loop: prints all that is there, ended by NUL, again and again. */
export function pollingWatch({ path, recursive, intervalMs }: Polling): WatchMethod {
  const depth = recursive ? "1000" : "1";
  return {
    command: ["sh", "-c", script, "sh", path, String(intervalMs / 1_000), depth],
    async *changes({ stdout, stderr }) {
      stderr.collect();
      let before: ReadonlyMap<string, Seen> | undefined;
      for await (const record of nulRecords(stdout)) {
        const now = parseListing(record);
        if (before === undefined) yield "ready";
        else yield* differences(before, now);
        before = now;
      }
    },
  };
}

function parseListing(text: string): ReadonlyMap<string, Seen> {
  const seen = new Map<string, Seen>();
  // A name may hold a line feed; what follows it does not look like a new entry, unless somebody wants it to, and then
  // only their own sandbox is told wrong things.
  for (const entry of text.split(/\n(?=[0-9a-f]+\|\d+\|\d+\|)/)) {
    const [mode = "", size, inode, modified, changed, ...name] = entry.split("|");
    const path = name.join("|").replace(/\n$/, "");
    if (path === "") continue;
    const isDirectory = (Number.parseInt(mode, 16) & 0o170000) === 0o040000;
    seen.set(path, { isDirectory, state: [mode, size, inode, modified, changed].join("|") });
  }
  return seen;
}

function* differences(
  before: ReadonlyMap<string, Seen>,
  now: ReadonlyMap<string, Seen>,
): Generator<FileChange, undefined> {
  for (const path of before.keys()) if (!now.has(path)) yield { type: "removed", path };
  for (const [path, { state, isDirectory }] of now) {
    const old = before.get(path);
    if (old === undefined) yield { type: "created", path };
    // A directory changes with every entry, which is told already.
    else if (old.state !== state && !isDirectory) yield { type: "modified", path };
  }
}
