import { resolve } from "node:path";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { mountProgram } from "./mount-programs.ts";
import { mountPath } from "./mounted-at.ts";
import { runPerl } from "./perl.ts";
import { unmount } from "./unmount.ts";

export interface MountOverlayOptions extends Abortable {
  /** Read-only directories, topmost first */
  readonly lower: readonly string[];
  /** Takes the changes; without it the mount is read-only and needs two lower directories */
  readonly upper?: string | undefined;
  /** Empty directory on the same filesystem as `upper`; needed with it */
  readonly work?: string | undefined;
  /** Existing directory */
  readonly target: string;
  /** @default true without `upper`, false with it */
  readonly readonly?: boolean | undefined;
}

/** mount(2) takes one page and cuts the rest in silence. */
const maxOptionBytes = 4_095;
const readOnlyFlag = 1;

/**
 * Lays directories over each other. Needs root.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for directories that cannot make an overlay, `LIMIT_EXCEEDED` when their
 *   paths are too long together, `IO_ERROR` when the kernel refuses
 */
export async function mountOverlay(options: MountOverlayOptions): Promise<void> {
  const { lower, upper, work, target, signal } = options;
  const readonly = options.readonly ?? upper === undefined;
  checkDirectories(options);
  const path = await mountPath(target);
  const parts = [`lowerdir=${lower.map(escapePath).join(":")}`];
  if (upper !== undefined && work !== undefined) {
    // Whatever the kernel's defaults are, what was changed shall be seen in the upper directory alone.
    const alone = ["redirect_dir=off", "metacopy=off"];
    parts.push(`upperdir=${escapePath(upper)}`, `workdir=${escapePath(work)}`, ...alone);
  }
  const data = parts.join(",");
  if (Buffer.byteLength(data) > maxOptionBytes) {
    throw new LongshoreError("LIMIT_EXCEEDED", "The paths of the overlay are too long together.", {
      details: { bytes: Buffer.byteLength(data), limit: maxOptionBytes, directories: lower.length },
    });
  }
  const flags = String(readonly ? readOnlyFlag : 0);
  await runPerl(mountProgram, ["overlay", path, "overlay", flags, data], {
    what: `mount an overlay at ${path}`,
    signal,
  });
  if (signal?.aborted !== true) return;
  await unmount(path);
  throw signal.reason;
}

function checkDirectories({ lower, upper, work }: MountOverlayOptions): void {
  const problem =
    (upper === undefined) !== (work === undefined)
      ? { field: "work", expected: "given together with upper" }
      : lower.length < (upper === undefined ? 2 : 1)
        ? {
            field: "lower",
            expected: upper === undefined ? "two or more without upper" : "one or more",
          }
        : undefined;
  if (problem === undefined) return;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `An overlay's ${problem.field} must be ${problem.expected}.`,
    { details: problem },
  );
}

/** Colons part directories and commas part options, unless a backslash stands before them. */
function escapePath(path: string): string {
  return resolve(path).replaceAll(/[\\:,]/g, String.raw`\$&`);
}
