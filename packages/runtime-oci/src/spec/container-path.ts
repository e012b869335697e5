import { posix } from "node:path";
import { invalid } from "./spec-error.ts";

/** The kernel's PATH_MAX. */
const maxPathBytes = 4_096;

/**
 * A path in a container as a configuration names it, without doubled or closing slashes.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is not absolute, or has `..` or NUL in it
 */
export function parseContainerPath(field: string, path: string): string {
  const shown = JSON.stringify(path.slice(0, 256));
  if (!path.startsWith("/"))
    throw invalid(field, `A path in a container begins with "/": ${shown}.`);
  if (path.includes("\0")) throw invalid(field, `A path has no NUL in it: ${shown}.`);
  if (Buffer.byteLength(path) >= maxPathBytes)
    throw invalid(field, `The path is too long: ${shown}.`);
  if (path.split("/").includes("..")) {
    throw invalid(field, `A path in a container has no ".." in it: ${shown}.`);
  }
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** Whether a path is `directory` or below it. Both without doubled slashes. */
export function isWithin(directory: string, path: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}
