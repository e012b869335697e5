import { LongshoreError } from "../errors/longshore-error.ts";

const maxPathBytes = 4_096;

/** @throws {LongshoreError} `VALIDATION_ERROR` for what is not an absolute path */
export function checkPath(path: string): void {
  const isFit =
    path.startsWith("/") && !path.includes("\0") && Buffer.byteLength(path) <= maxPathBytes;
  if (isFit) return;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `A path in a sandbox is absolute, without NUL, and at most ${maxPathBytes} bytes long.`,
    { details: { path: path.slice(0, 200) } },
  );
}
