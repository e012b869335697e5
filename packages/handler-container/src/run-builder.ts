import { spawn } from "node:child_process";
import { once } from "node:events";
import { BoundedOutput, LongshoreError, onLine, type HandlerContext } from "@longshore/core";

const maxOutputBytes = 1_048_576;
const tailLength = 4_000;

/**
 * Runs a builder in a PID namespace of its own: when it is killed, everything it started ends with it.
 *
 * @throws {LongshoreError} `EXECUTION_ERROR` with what it printed last; the signal's reason
 */
export async function runBuilder(
  context: HandlerContext,
  command: readonly string[],
): Promise<void> {
  const { signal, workDir } = context;
  signal.throwIfAborted();
  const flags = ["--pid", "--fork", "--kill-child", "--mount-proc", "--"];
  const child = spawn("unshare", [...flags, ...command], {
    cwd: workDir,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    // Nothing of the worker's own, but where programs are, and where BuildKit's daemon listens.
    env: {
      PATH: process.env["PATH"],
      BUILDKIT_HOST: process.env["BUILDKIT_HOST"],
      HOME: workDir,
      TMPDIR: workDir,
      XDG_RUNTIME_DIR: workDir,
    },
  });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener("abort", kill, { once: true });
  try {
    const output = [child.stdout, child.stderr].map((stream) => {
      onLine(stream, (line) => {
        context.log(line, { stream: "build" });
      });
      return new BoundedOutput(stream, maxOutputBytes);
    });
    const [code] = (await once(child, "close")) as [number | null];
    signal.throwIfAborted();
    if (code === 0) return;
    const printed = output.map((one) => one.capture().text).join("");
    throw new LongshoreError(
      "EXECUTION_ERROR",
      `The image was not built: ${command[0] ?? ""} exited with ${code}.`,
      { phase: "build", retryable: false, details: { output: printed.slice(-tailLength) } },
    );
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
