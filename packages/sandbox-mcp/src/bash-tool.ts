import { isLongshoreError, type RunResult, type Sandbox } from "@longshore/core";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { outputProgress } from "./output-progress.ts";
import type { ToolLimits } from "./sandbox-mcp-options.ts";
import { toolError, type ToolGate } from "./tool-gate.ts";

export function registerBashTool(
  server: McpServer,
  sandbox: Sandbox,
  { limits, gate }: { readonly limits: ToolLimits; readonly gate: ToolGate },
): void {
  const { timeoutMs, maxTimeoutMs, maxOutputBytes } = limits;
  const shell = shellOf(sandbox);
  server.registerTool(
    "bash",
    {
      title: "Run a shell command",
      description:
        "Runs a command line in the sandbox to its end, with bash where the sandbox has it and else with sh. " +
        "Every call is a shell of its own: directory and variables are not kept, and background processes are killed. " +
        `Shows at most ${maxOutputBytes} bytes of each output. An exit code other than 0 is part of the answer.`,
      inputSchema: {
        command: z.string().min(1).max(131_072).describe("The command line"),
        cwd: z.string().optional().describe("Absolute directory to run it in"),
        stdin: z.string().optional().describe("What it reads from standard input"),
        timeout_ms: z
          .int()
          .min(1)
          .max(maxTimeoutMs)
          .optional()
          .describe(`Time after which it is killed; ${timeoutMs} when absent`),
      },
      outputSchema: {
        exit_code: z.int().describe("128 + n after signal n"),
        signal: z.string().optional(),
        stdout: z.string(),
        stderr: z.string(),
        stdout_bytes_left_out: z.int(),
        stderr_bytes_left_out: z.int(),
      },
      annotations: { openWorldHint: true, destructiveHint: true },
    },
    ({ command, cwd, stdin, timeout_ms }, extra) =>
      gate("tool:bash", extra.signal, async () => {
        const progress = outputProgress(extra);
        const program = await shell(extra.signal);
        try {
          const result = await sandbox.run([program, "-c", command], {
            cwd,
            stdin,
            signal: extra.signal,
            timeoutMs: timeout_ms ?? Math.min(timeoutMs, maxTimeoutMs),
            maxOutputBytes,
            onStdout: progress,
            onStderr: progress,
          });
          return answer(result);
        } catch (error) {
          if (!isLongshoreError(error, "TIMEOUT")) throw error;
          const { stdout, stderr } = error.details ?? {};
          return toolError(error, sections({ stdout: String(stdout), stderr: String(stderr) }));
        }
      }),
  );
}

function answer(result: RunResult): CallToolResult {
  const { exitCode, signal, stdout, stderr } = result;
  const left = { stdout: result.stdoutBytesTruncated, stderr: result.stderrBytesTruncated };
  const end = signal === undefined ? `exit code ${exitCode}` : `ended by ${signal}`;
  return {
    content: [{ type: "text", text: `${end}${sections({ stdout, stderr }, left)}` }],
    structuredContent: {
      exit_code: exitCode,
      ...(signal !== undefined && { signal }),
      stdout,
      stderr,
      stdout_bytes_left_out: left.stdout,
      stderr_bytes_left_out: left.stderr,
    },
  };
}

type Outputs<Value> = Readonly<Record<"stdout" | "stderr", Value>>;

function sections(
  outputs: Outputs<string>,
  leftOut: Outputs<number> = { stdout: 0, stderr: 0 },
): string {
  return (["stdout", "stderr"] as const)
    .filter((name) => outputs[name] !== "" || leftOut[name] > 0)
    .map((name) => {
      const note = leftOut[name] === 0 ? "" : ` (${leftOut[name]} bytes left out at the end)`;
      return `\n--- ${name}${note}\n${outputs[name]}`;
    })
    .join("");
}

/** The shell of the sandbox, looked for once; a look that fails is made again. */
function shellOf(sandbox: Sandbox): (signal: AbortSignal) => Promise<string> {
  let known: string | undefined;
  return async (signal) => {
    if (known !== undefined) return known;
    try {
      await sandbox.run(["bash", "-c", ":"], { signal });
      known = "bash";
    } catch (error) {
      if (!isLongshoreError(error, "EXECUTION_ERROR")) throw error;
      known = "sh";
    }
    return known;
  };
}
