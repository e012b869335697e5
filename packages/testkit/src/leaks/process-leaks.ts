import { readdir, readFile, readlink } from "node:fs/promises";
import { isMarked, type Leak, type LeakScope } from "./leak.ts";

interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  readonly state: string;
  /** Clock ticks since the machine started: two processes of one number differ in it */
  readonly startTicks: string;
  readonly name: string;
}

/** Processes of the scope: descendants, those with the token, those in a marked cgroup or directory. */
export async function findProcesses(scope: LeakScope): Promise<readonly Leak[]> {
  const all = await listProcesses();
  const parents = new Map(all.map(({ pid, parentPid }) => [pid, parentPid]));
  const found: Leak[] = [];
  for (const entry of all) {
    if (entry.pid === scope.ancestorPid || entry.pid === process.pid) continue;
    // Whoever is dead and waits for the machine's first process to notice is nobody's any more.
    if (entry.state === "Z" && entry.parentPid === 1) continue;
    const isOurs =
      isDescendant(entry.pid, parents, scope.ancestorPid) ||
      (await isOwnedProcess(entry.pid, scope));
    if (!isOurs) continue;
    found.push({
      kind: "process",
      id: `${entry.pid}.${entry.startTicks}`,
      text: `${entry.pid} (state ${entry.state}, parent ${entry.parentPid}): ${await commandOf(entry)}`,
    });
  }
  return found;
}

/** Network namespaces that a process of the scope keeps by an open file alone. */
export async function findHeldNamespaces(scope: LeakScope): Promise<readonly Leak[]> {
  const found: Leak[] = [];
  const { ancestorPid: pid } = scope;
  for (const fd of await list(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
    if (!target.startsWith("net:[")) continue;
    found.push({ kind: "network namespace", id: target, text: `${target}, open in ${pid}` });
  }
  return found;
}

async function listProcesses(): Promise<readonly ProcessEntry[]> {
  const found: ProcessEntry[] = [];
  for (const name of await list("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readText(`/proc/${name}/stat`);
    const end = stat.lastIndexOf(")");
    // proc_pid_stat(5): the name in parentheses may hold anything.
    const fields = stat.slice(end + 2).split(" ");
    const [state = "", parent = ""] = fields;
    if (end === -1) continue;
    found.push({
      pid: Number(name),
      parentPid: Number(parent),
      state,
      startTicks: fields[19] ?? "",
      name: stat.slice(stat.indexOf("(") + 1, end),
    });
  }
  return found;
}

function isDescendant(
  pid: number,
  parents: ReadonlyMap<number, number>,
  ancestor: number,
): boolean {
  const seen = new Set<number>();
  for (let current = parents.get(pid); current !== undefined; current = parents.get(current)) {
    if (current === ancestor) return true;
    if (seen.has(current)) return false;
    seen.add(current);
  }
  return false;
}

async function isOwnedProcess(pid: number, scope: LeakScope): Promise<boolean> {
  const environ = (await readText(`/proc/${pid}/environ`)).split("\0");
  if (environ.includes(scope.token)) return true;
  const isInRoot = (text: string): boolean => isMarked(text, { ...scope, marks: [] });
  if (environ.some(isInRoot)) return true;
  if (isInRoot(await readText(`/proc/${pid}/cmdline`))) return true;
  const [cwd, root] = await Promise.all(
    ["cwd", "root"].map((name) => readlink(`/proc/${pid}/${name}`).catch(() => "")),
  );
  if (isInRoot(cwd ?? "") || isInRoot(root ?? "")) return true;
  const own = await readText("/proc/self/cgroup");
  const cgroup = await readText(`/proc/${pid}/cgroup`);
  return cgroup !== own && isMarked(cgroup, scope);
}

async function commandOf({ pid, name }: ProcessEntry): Promise<string> {
  const command = (await readText(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
  return (command === "" ? `[${name}]` : command).slice(0, 200);
}

async function list(path: string): Promise<readonly string[]> {
  return readdir(path).catch(() => []);
}

async function readText(path: string): Promise<string> {
  // Gone meanwhile, or not ours to see.
  return readFile(path, "utf8").catch(() => "");
}
