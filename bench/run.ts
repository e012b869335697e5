import { execFile, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const execute = promisify(execFile);
const running = new Set<ChildProcess>();

/** Runs a program and gives what it printed. */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  const done = execute(command, args, { maxBuffer: 64 * 1_048_576 });
  running.add(done.child);
  try {
    return (await done).stdout;
  } finally {
    running.delete(done.child);
  }
}

/** Ends what {@link run} has started, and waits until it has cleaned up. */
export async function endPrograms(): Promise<void> {
  const ends = [...running].map(async (child) => {
    const exited = once(child, "exit");
    // It passes no signal on; the kernel kills its child with it.
    child.kill(child.spawnfile === "unshare" ? "SIGKILL" : "SIGTERM");
    await exited;
  });
  await Promise.all(ends);
}
