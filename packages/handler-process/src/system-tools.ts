import { execFile } from "node:child_process";
import { findCommand } from "@longshore/core";

/** Programs of util-linux that are used when they are there. */
export interface SystemTools {
  /** Sets resource limits */
  readonly prlimit: string | undefined;
  /** Has the kernel kill the process when its worker dies, however that happens */
  readonly setpriv: string | undefined;
}

const path = "/usr/bin:/bin:/usr/sbin:/sbin";

export async function findSystemTools(): Promise<SystemTools> {
  const [prlimit, setpriv] = await Promise.all([
    findTool("prlimit", ["--version"]),
    // BusyBox has a setpriv that does not know the option.
    findTool("setpriv", ["--pdeathsig", "KILL", "--", "true"]),
  ]);
  return { prlimit, setpriv };
}

async function findTool(name: string, trial: readonly string[]): Promise<string | undefined> {
  const file = await findCommand(name, path);
  if (file === undefined) return undefined;
  const works = await new Promise<boolean>((resolve) => {
    execFile(
      file,
      trial,
      { timeout: 5_000, killSignal: "SIGKILL", env: { PATH: path } },
      (error) => {
        resolve(error === null);
      },
    );
  });
  return works ? file : undefined;
}
