import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import type { Abortable } from "../abortable.ts";
import type { Interpreter } from "./capabilities.ts";

interface Probe {
  readonly runtime: string;
  /** Commands, best first */
  readonly commands: readonly string[];
  readonly args: readonly string[];
  /** First group: the version */
  readonly version: RegExp;
}

const number = String.raw`(\d+(?:\.\d+)+)`;
const probes: readonly Probe[] = [
  {
    runtime: "shell",
    commands: ["bash", "sh"],
    args: ["--version"],
    version: new RegExp(`version ${number}`),
  },
  {
    runtime: "python",
    commands: ["python3", "python"],
    args: ["--version"],
    version: new RegExp(`Python ${number}`),
  },
  {
    runtime: "node",
    commands: ["node", "nodejs"],
    args: ["--version"],
    version: new RegExp(`v${number}`),
  },
  {
    runtime: "ruby",
    commands: ["ruby"],
    args: ["--version"],
    version: new RegExp(`ruby ${number}`),
  },
  { runtime: "go", commands: ["go"], args: ["version"], version: new RegExp(`go${number}`) },
  {
    runtime: "java",
    commands: ["java"],
    args: ["-version"],
    version: new RegExp(`version "${number}`),
  },
  {
    runtime: "r",
    commands: ["Rscript"],
    args: ["--version"],
    version: new RegExp(`version ${number}`),
  },
  { runtime: "perl", commands: ["perl"], args: ["-v"], version: new RegExp(`\\(v${number}\\)`) },
];
const timeoutMs = 5_000;

export interface FindInterpretersOptions extends Abortable {
  /** Where commands are looked for. @default the process's PATH */
  readonly path?: string | undefined;
}

/** Looks for the interpreters this worker knows and asks each for its version. One that does not answer is left out. */
export async function findInterpreters(
  options: FindInterpretersOptions = {},
): Promise<readonly Interpreter[]> {
  const { path = process.env["PATH"] ?? "", signal } = options;
  const found = await Promise.all(probes.map((probe) => runProbe(probe, path, signal)));
  return found.filter((interpreter) => interpreter !== undefined);
}

/** The file a command stands for, when there is one that may be executed. */
export async function findCommand(name: string, path: string): Promise<string | undefined> {
  const folders = isAbsolute(name) ? [""] : path.split(delimiter).filter(isAbsolute);
  for (const folder of folders) {
    const file = join(folder, name);
    try {
      await access(file, constants.X_OK);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

async function runProbe(
  probe: Probe,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Interpreter | undefined> {
  for (const command of probe.commands) {
    const file = await findCommand(command, path);
    if (file === undefined) continue;
    const output = await ask(file, probe.args, signal);
    signal?.throwIfAborted();
    // A shell that has no version option is still a shell.
    if (output === undefined && probe.runtime !== "shell") continue;
    const version = probe.version.exec(output ?? "")?.[1];
    return { name: probe.runtime, path: file, ...(version !== undefined && { version }) };
  }
  return undefined;
}

function ask(
  file: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 65_536, signal },
      (error, stdout, stderr) => {
        resolve(error === null ? `${stdout}\n${stderr}` : undefined);
      },
    ).stdin?.end();
  });
}
