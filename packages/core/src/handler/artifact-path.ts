import { extname } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";

const maxPathBytes = 1_024;
const mediaTypePattern = /^[\w.+-]{1,100}\/[\w.+-]{1,100}(; ?[\w-]{1,50}=[\w.+-]{1,100}){0,4}$/;

const mediaTypes: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".gz": "application/gzip",
  ".html": "text/html",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
  ".log": "text/plain",
  ".md": "text/markdown",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tar": "application/x-tar",
  ".txt": "text/plain",
  ".xml": "application/xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".zip": "application/zip",
};

/**
 * Checks a path on which an artifact may be stored: relative, `/` between names, below the job's own directory.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function assertArtifactPath(path: string): void {
  const isGood =
    path.isWellFormed() &&
    Buffer.byteLength(path) <= maxPathBytes &&
    !path.includes("\0") &&
    !path.includes("\\") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (isGood) return;
  const shown = path.slice(0, 200);
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The artifact path ${JSON.stringify(shown)} must be relative, with "/" between plain names.`,
    { details: { path: shown } },
  );
}

/**
 * The given media type, or the one that the path's extension stands for.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`: it could carry more than a type into an HTTP header
 */
export function artifactMediaType(path: string, given: string | undefined): string | undefined {
  if (given === undefined) return mediaTypes[extname(path).toLowerCase()];
  if (mediaTypePattern.test(given)) return given;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `${JSON.stringify(given.slice(0, 200))} is not a media type like "text/csv".`,
    { details: { mediaType: given.slice(0, 200) } },
  );
}
