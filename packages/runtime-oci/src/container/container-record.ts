import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DriverContainerSpec } from "@longshore/core";
import { replaceFile } from "../sandbox/sandbox-record.ts";

const recordName = "record.json";

/** Directory of a container, in that of its sandbox. */
export function containerDirectory(sandboxDirectory: string, id: string): string {
  return join(sandboxDirectory, "containers", id);
}

/** Makes a container's directory and writes it down there, before anything else of it is made. */
export function writeContainerRecord(sandboxDirectory: string, spec: DriverContainerSpec): void {
  const directory = containerDirectory(sandboxDirectory, spec.id);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const { attach: _sessions, ...lasting } = spec;
  replaceFile(join(directory, recordName), JSON.stringify(encodeBytes(lasting)));
}

/** Removes it with its directory, in which nothing is mounted any more. */
export function removeContainerRecord(sandboxDirectory: string, id: string): void {
  // A handful of files in memory: asking other threads for each would take longer.
  rmSync(containerDirectory(sandboxDirectory, id), { recursive: true, force: true });
}

/** All containers that were written down; a file that this program did not finish is none. */
export function readContainerRecords(sandboxDirectory: string): readonly DriverContainerSpec[] {
  const directory = join(sandboxDirectory, "containers");
  // They lie in memory.
  const ids = orMissing(() => readdirSync(directory)) ?? [];
  const texts = ids.map((id) =>
    orMissing(() =>
      readFileSync(join(containerDirectory(sandboxDirectory, id), recordName), "utf8"),
    ),
  );
  // It is this program's own file, in a directory that nobody else may write to.
  return texts
    .filter((text) => text !== undefined)
    .map((text) => decodeBytes(JSON.parse(text) as unknown) as DriverContainerSpec);
}

/** What is read, or `undefined` for what cannot be. */
function orMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    // It was not written, or is gone.
    return undefined;
  }
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
