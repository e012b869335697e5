import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, vi } from "vitest";
import type { CaseContainer, ContainerWishes, RuntimeCase } from "./runtime-case.ts";

/** One entry of a CRI log file. */
export interface LogEntry {
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  /** `P`: more of the line follows */
  readonly tag: "F" | "P";
  readonly content: Buffer;
}

/** The entries of a log file. Fails for a line that is none. */
export async function readLog(path: string): Promise<readonly LogEntry[]> {
  const bytes = await readFile(path);
  const entries: LogEntry[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start);
    expect(end, "the last entry ends with a newline").not.toBe(-1);
    const line = bytes.subarray(start, end);
    const head = /^(\S+) (stdout|stderr) ([FP])(?::\S*)? /.exec(line.toString("latin1"));
    const [prefix = "", time = "", stream, tag] = head ?? [];
    if (prefix === "" || (stream !== "stdout" && stream !== "stderr")) {
      throw new Error(`no log entry: ${line.toString("latin1").slice(0, 200)}`);
    }
    const content = line.subarray(prefix.length);
    entries.push({ time, stream, tag: tag === "P" ? "P" : "F", content });
    start = end + 1;
  }
  return entries;
}

/** What a stream held: each full entry is a line. */
export function logText(entries: readonly LogEntry[], stream: LogEntry["stream"]): Buffer {
  const newline = Buffer.from("\n");
  return Buffer.concat(
    entries
      .filter((entry) => entry.stream === stream)
      .flatMap(({ content, tag }) => (tag === "F" ? [content, newline] : [content])),
  );
}

/** A container that runs a script, with a log file. */
export async function launchLogged(
  tools: RuntimeCase,
  script: string,
  wishes: ContainerWishes = {},
): Promise<CaseContainer & { readonly log: string }> {
  const logDirectory = join(tools.directory, "logs");
  const pod = await tools.pod({ logDirectory });
  const command = ["sh", "-c", script];
  // Logs are never truncated: each container has a file of its own.
  const logPath = `${randomUUID()}/0.log`;
  const container = await tools.launch({ command, logPath, ...wishes }, pod);
  return { ...container, log: join(logDirectory, logPath) };
}

/** What a script printed as a container's first process, once it ended. */
export async function printed(
  tools: RuntimeCase,
  wishes: ContainerWishes,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { log, ...container } = await launchLogged(tools, "", wishes);
  await tools.ended(container);
  const entries = await readLog(log);
  return {
    stdout: logText(entries, "stdout").toString("utf8").trimEnd(),
    stderr: logText(entries, "stderr").toString("utf8").trimEnd(),
  };
}

/** Waits until a log file holds some text. */
export async function untilLogged(path: string, text: string): Promise<void> {
  await vi.waitFor(async () => expect(await readFile(path, "utf8")).toContain(text), {
    timeout: 15_000,
    interval: 20,
  });
}
