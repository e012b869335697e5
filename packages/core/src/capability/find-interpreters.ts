import type { Abortable } from "../abortable.ts";
import { askCommand, type AskOptions } from "./ask-command.ts";
import type { Interpreter } from "./capabilities.ts";
import { findCommand } from "./find-command.ts";

interface Probe {
  readonly runtime: string;
  /** Commands, best first */
  readonly commands: readonly string[];
  readonly args: readonly string[];
  /** First group: the version */
  readonly version: RegExp;
}

/** Bounded: what a command prints goes to other workers. */
const number = String.raw`(\d{1,8}(?:\.\d{1,8}){0,4})`;
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

export interface FindInterpretersOptions extends Abortable {
  /** Where commands are looked for. @default the process's PATH */
  readonly path?: string | undefined;
  /** Time each command has to answer. @default 5_000 */
  readonly timeoutMs?: number | undefined;
}

/** Looks for the interpreters a worker knows and asks each for its version. One that does not answer is left out. */
export async function findInterpreters(
  options: FindInterpretersOptions = {},
): Promise<readonly Interpreter[]> {
  const { path = process.env["PATH"] ?? "", timeoutMs = 5_000, signal } = options;
  signal?.throwIfAborted();
  const asking = { path, timeoutMs, signal };
  const found = await Promise.all(probes.map((probe) => runProbe(probe, asking)));
  signal?.throwIfAborted();
  return found.filter((interpreter) => interpreter !== undefined);
}

async function runProbe(probe: Probe, asking: AskOptions): Promise<Interpreter | undefined> {
  for (const command of probe.commands) {
    const file = await findCommand(command, asking.path);
    if (file === undefined) continue;
    const output = await askCommand(file, probe.args, asking);
    // A shell that has no version option is still a shell.
    if (output === undefined && probe.runtime !== "shell") continue;
    const version = probe.version.exec(output ?? "")?.[1];
    return { name: probe.runtime, path: file, ...(version !== undefined && { version }) };
  }
  return undefined;
}
