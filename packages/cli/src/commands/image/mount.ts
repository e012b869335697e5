import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { LongshoreError } from "@longshore/core";
import { isMounted, unmountImage, type ImageMountMethod } from "@longshore/image-nydus";
import { exitCodes } from "../../exit-codes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal } from "../../terminal.ts";
import { openLogger } from "../../terminal-logger.ts";
import type { mountMethodNames } from "./image-choices.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";

/** What the names of `--method` stand for. */
const methods: Readonly<Record<(typeof mountMethodNames)[number], readonly ImageMountMethod[]>> = {
  erofs: ["erofs-files", "erofs-loop"],
  "erofs-files": ["erofs-files"],
  "erofs-loop": ["erofs-loop"],
  fuse: ["fuse"],
  nydusd: ["nydusd"],
};

export interface MountFlags extends ImageFlags {
  readonly method?: (typeof mountMethodNames)[number];
}

/**
 * Shows an image at a directory. The kernel keeps its mounts after the command; a mount that this process serves lasts until
 * a signal, or until somebody unmounts it.
 */
export async function mountImage(
  ref: string,
  directory: string,
  flags: MountFlags,
): Promise<number> {
  const terminal = openTerminal(flags);
  const target = resolve(directory);
  await checkTarget(target);
  const interrupted = Promise.withResolvers<"interrupted">();
  return interruptible(async (signal) => {
    await using store = await openImageStore(flags, {
      mountMethods: flags.method && methods[flags.method],
      logger: openLogger({ isJson: flags.json === true, level: "warn" }),
    });
    const mounted = await store.mount(ref, target, { signal });
    const { imageId, method, ended } = mounted;
    if (terminal.isJson) {
      terminal.printJson({ image_id: imageId, target, method, served: ended !== undefined });
    } else terminal.print(`${ref} is mounted at ${target} (${method}, read-only)`);
    if (ended === undefined) {
      if (!terminal.isJson) terminal.print(`to end it: longshore image umount ${target}`);
      return exitCodes.ok;
    }
    terminal.note("serving it from this process: end it by Ctrl-C, SIGTERM or image umount");
    signal.addEventListener("abort", () => {
      interrupted.resolve("interrupted");
    });
    if (signal.aborted) interrupted.resolve("interrupted");
    try {
      await Promise.race([ended, interrupted.promise]);
    } finally {
      await mounted[Symbol.asyncDispose]();
    }
    return exitCodes.ok;
  });
}

/** Ends what `mount` began, in this process's stead or another's. */
export async function unmountDirectory(directory: string, flags: ImageFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const target = resolve(directory);
  await unmountImage(target);
  if (terminal.isJson) terminal.printJson({ target });
  else terminal.print(`unmounted ${target}`);
  return exitCodes.ok;
}

async function checkTarget(target: string): Promise<void> {
  // First, since a dead mount cannot even be looked at.
  if (await isMounted(target)) {
    throw new LongshoreError("STATE_CONFLICT", `Something is mounted at ${target} already.`, {
      details: { target },
    });
  }
  const found = await stat(target).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    found === undefined ? `There is no directory ${target}.` : `${target} is no directory.`,
    { details: { field: "DIR", expected: "an existing directory" } },
  );
}
