import { LongshoreError, type Sandbox } from "@longshore/core";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";
import { readPart } from "./read-part.ts";
import type { ToolLimits } from "./sandbox-mcp-options.ts";
import type { ToolGate } from "./tool-gate.ts";

const path = z.string().min(1).describe("Absolute path in the sandbox");

export function registerFileTools(
  server: McpServer,
  { files }: Sandbox,
  { limits, gate }: { readonly limits: ToolLimits; readonly gate: ToolGate },
): void {
  const { maxOutputBytes, maxWriteBytes, maxEntries } = limits;
  server.registerTool(
    "read_file",
    {
      title: "Read a file",
      description:
        `Reads a text file of the sandbox, at most ${maxOutputBytes} bytes at a time: ` +
        "next_offset in the answer says that there is more, and where to go on.",
      inputSchema: {
        path,
        offset: z.int().min(0).optional().describe("Bytes to skip; 0 when absent"),
      },
      outputSchema: {
        content: z.string(),
        next_offset: z.int().optional().describe("Absent at the end of the file"),
      },
      annotations: { readOnlyHint: true },
    },
    ({ path: file, offset = 0 }, { signal }) =>
      gate("tool:read_file", signal, async () => {
        const stream = files.readStream(file, { signal });
        const { content, nextOffset } = await readPart(stream, offset, maxOutputBytes);
        const more =
          nextOffset === undefined ? "" : `\n--- there is more: go on at offset ${nextOffset}`;
        return {
          content: [{ type: "text", text: `${content}${more}` }],
          structuredContent: {
            content,
            ...(nextOffset !== undefined && { next_offset: nextOffset }),
          },
        };
      }),
  );
  server.registerTool(
    "write_file",
    {
      title: "Write a file",
      description:
        "Writes a whole file of the sandbox and makes missing directories above it. A file that is there is replaced.",
      inputSchema: {
        path,
        content: z.string().describe(`At most ${maxWriteBytes} bytes`),
        mode: z
          .string()
          .regex(/^0?[0-7]{3}$/)
          .optional()
          .describe('Permission bits, octal, e.g. "755"'),
      },
      annotations: { destructiveHint: true, idempotentHint: true },
    },
    ({ path: file, content, mode }, { signal }) =>
      gate("tool:write_file", signal, async () => {
        const bytes = Buffer.from(content);
        if (bytes.length > maxWriteBytes) {
          throw new LongshoreError(
            "LIMIT_EXCEEDED",
            `The content has ${bytes.length} bytes; ${maxWriteBytes} are allowed.`,
          );
        }
        const bits = mode === undefined ? undefined : Number.parseInt(mode, 8);
        await files.write(file, bytes, { mode: bits, signal });
        return { content: [{ type: "text", text: `${bytes.length} bytes written to ${file}` }] };
      }),
  );
  server.registerTool(
    "list_files",
    {
      title: "List a directory",
      description: `Lists a directory of the sandbox by name, at most ${maxEntries} entries.`,
      inputSchema: { path },
      outputSchema: {
        entries: z.array(
          z.object({
            name: z.string(),
            type: z.enum(["file", "directory", "symlink", "other"]),
            size: z.number().describe("Bytes"),
          }),
        ),
        entries_left_out: z.int(),
      },
      annotations: { readOnlyHint: true },
    },
    ({ path: directory }, { signal }) =>
      // Listing is a way of reading: a policy that speaks of reading covers it.
      gate("tool:read_file", signal, async () => {
        const all = await files.list(directory, { signal });
        const entries = all
          .slice(0, maxEntries)
          .map(({ name, type, size }) => ({ name, type, size }));
        const leftOut = all.length - entries.length;
        const lines = entries.map(({ name, type, size }) => `${type}\t${size}\t${name}`);
        if (leftOut > 0) lines.push(`--- ${leftOut} entries left out`);
        return {
          content: [{ type: "text", text: lines.join("\n") }],
          structuredContent: { entries, entries_left_out: leftOut },
        };
      }),
  );
}
