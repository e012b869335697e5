import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DriverContainerSpec } from "@longshore/core";
import { replaceFile } from "../sandbox/sandbox-record.ts";

/** Writes down a container in its sandbox's directory, before anything of it is made. */
export async function writeContainerRecord(
  sandboxDirectory: string,
  spec: DriverContainerSpec,
): Promise<void> {
  const directory = join(sandboxDirectory, "containers");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { attach: _sessions, ...lasting } = spec;
  await replaceFile(join(directory, spec.id), JSON.stringify(encodeBytes(lasting)));
}

export async function removeContainerRecord(sandboxDirectory: string, id: string): Promise<void> {
  await rm(join(sandboxDirectory, "containers", id), { force: true });
}

/** All containers that were written down; a file that this program did not finish is none. */
export async function readContainerRecords(
  sandboxDirectory: string,
): Promise<readonly DriverContainerSpec[]> {
  const directory = join(sandboxDirectory, "containers");
  const names = await readdir(directory).catch(() => []);
  const specs = await Promise.all(
    names
      .filter((name) => !name.endsWith(".part"))
      .map(async (name) => JSON.parse(await readFile(join(directory, name), "utf8")) as unknown),
  );
  // It is this program's own file, in a directory that nobody else may write to.
  return specs.map((spec) => decodeBytes(spec) as DriverContainerSpec);
}

const bytesKey = "$base64";

/** Environment variables may be bytes, which JSON has not. */
function encodeBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return { [bytesKey]: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(encodeBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeBytes(item)]));
}

function decodeBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeBytes);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === bytesKey)
    return Buffer.from(String(first[1]), "base64");
  return Object.fromEntries(entries.map(([key, item]) => [key, decodeBytes(item)]));
}
