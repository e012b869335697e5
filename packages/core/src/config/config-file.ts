import { readFile, stat } from "node:fs/promises";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { jsonProblem } from "../job/json-problem.ts";
import { parseYaml } from "../job/parse-yaml.ts";
import { toPath } from "../job/validation-error.ts";

const maxFileBytes = 1_048_576;

/**
 * Reads a configuration file in YAML or JSON. An empty one has no keys.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` naming the file, and what is wrong with it
 */
export async function readConfigFile(
  file: string,
  { signal }: Abortable = {},
): Promise<Record<string, unknown>> {
  try {
    const found = await stat(file);
    // A pipe could be waited for in vain, and a device read without end.
    if (!found.isFile()) throw new Error("it is not a file");
    if (found.size > maxFileBytes) {
      throw new Error(`it has ${found.size} bytes; ${maxFileBytes} are allowed`);
    }
    const value = parseYaml(await readFile(file, { encoding: "utf8", signal }));
    // What an alias refers to may be large, or even contain the alias.
    const problem = jsonProblem(value, { maxSize: maxFileBytes });
    if (problem !== undefined) throw new Error(`${toPath(problem.path)} ${problem.message}`.trim());
    if (value === null) return {};
    if (typeof value === "object" && !Array.isArray(value)) return { ...value };
    throw new Error("it is not a map of keys");
  } catch (error) {
    signal?.throwIfAborted();
    throw new LongshoreError(
      "CONFIG_ERROR",
      `The configuration ${file} cannot be read: ${reasonOf(error)}`,
      { cause: error, details: { file } },
    );
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!("code" in error)) return error.message;
  switch (error.code) {
    case "ENOENT":
      return "it does not exist";
    case "EACCES":
      return "this user may not read it";
    default:
      return error.message;
  }
}
