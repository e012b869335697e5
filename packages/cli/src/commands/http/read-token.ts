import { readFile } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";

/** The token that `LONGSHORE_TOKEN` holds, if any. */
export function environmentToken(): string | undefined {
  const token = process.env["LONGSHORE_TOKEN"]?.trim();
  return token === "" ? undefined : token;
}

/** @throws {LongshoreError} `CONFIG_ERROR` when the file cannot be read */
export async function readTokenFile(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    throw new LongshoreError("CONFIG_ERROR", `The token file ${file} cannot be read.`, {
      cause: error,
    });
  }
}
