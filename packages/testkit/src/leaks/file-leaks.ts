import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { isMarked, type Leak, type LeakScope } from "./leak.ts";

/** Mounts of this process's view at marked places; one that holds a network namespace is told as that. */
export async function findMounts(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    // proc_pid_mountinfo(5): id parent device root point options … - type source options
    const [head = "", tail = ""] = line.split(" - ");
    const [id = "", , , root = "", point = ""] = head.split(" ").map(unescapePath);
    const [type = "", source = ""] = tail.split(" ").map(unescapePath);
    if (!isMarked(point, scope) && !isMarked(source, scope)) continue;
    const isNetwork = type === "nsfs" && root.startsWith("net:[");
    found.push({
      kind: isNetwork ? "network namespace" : "mount",
      id: `${id} ${point}`,
      text: isNetwork ? `${root} at ${point}` : `${type} at ${point}`,
    });
  }
  return found;
}

/** Marked cgroups of both versions. */
export async function findCgroups(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  const waiting = ["/sys/fs/cgroup"];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of await entriesOf(path)) {
      if (!entry.isDirectory()) continue;
      const child = join(path, entry.name);
      waiting.push(child);
      if (isMarked(child, scope)) {
        found.push({ kind: "cgroup", id: `${child} ${await inodeOf(child)}`, text: child });
      }
    }
  }
  return found;
}

/** Loop devices whose file is at a marked place. */
export async function findLoopDevices(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  for (const { name } of await entriesOf("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "");
    if (file === "" || !isMarked(file.trim(), scope)) continue;
    const text = `/dev/${name} on ${file.trim()}`;
    found.push({ kind: "loop device", id: text, text });
  }
  return found;
}

/** Entries of the directories that were given. */
export async function findEntries({ directories }: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  for (const directory of directories) {
    for (const { name } of await entriesOf(directory)) {
      const path = join(directory, name);
      found.push({ kind: "directory entry", id: `${path} ${await inodeOf(path)}`, text: path });
    }
  }
  return found;
}

async function entriesOf(path: string) {
  return readdir(path, { withFileTypes: true }).catch(() => []);
}

async function inodeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ ino }) => ino,
    () => 0,
  );
}

/** Blanks and backslashes stand as octal numbers there. */
function unescapePath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
