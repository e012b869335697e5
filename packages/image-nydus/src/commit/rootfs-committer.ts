import { existsSync } from "node:fs";
import type { Logger, RootfsCommitter } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { OwnedRootfs } from "../rootfs/rootfs-provider.ts";
import { commitImage, type CommitContext } from "./commit-image.ts";

export interface RootfsCommitterOptions extends CommitContext {
  readonly logger: Logger;
  /** Lets nobody else change what the owner holds while the task runs */
  useOwner<T>(owner: string, task: (owned: OwnedRootfs) => Promise<T>): Promise<T>;
  onCommitted?(imageId: string): void;
}

/** Makes images of root filesystems. `end` aborts what is under way. */
export function rootfsCommitter(
  context: RootfsCommitterOptions,
): RootfsCommitter & { end(reason: Error): void } {
  const { logger, useOwner } = context;
  const closing = new AbortController();
  return {
    commitRootfs: (owner, { signal, ...options }) =>
      useOwner(owner, async ({ image, form, idMappings, changesDirectory: directory }) => {
        const stop = AbortSignal.any([closing.signal, ...(signal === undefined ? [] : [signal])]);
        stop.throwIfAborted();
        if (form === "block") {
          throw new LongshoreError(
            "RUNTIME_NOT_SUPPORTED",
            `The root filesystem of ${owner} is block devices, whose changes are not kept here.`,
            { details: { owner } },
          );
        }
        if (!existsSync(directory)) {
          throw new LongshoreError("NOT_FOUND", `${owner} has not got a root filesystem yet.`, {
            details: { owner },
          });
        }
        const changes = { directory, isOverlay: form !== "copy", idMappings };
        const imageId = await commitImage(context, {
          base: image,
          changes,
          options,
          signal: stop,
        });
        logger.info({ owner, imageId, image: options.reference }, "root filesystem committed");
        context.onCommitted?.(imageId);
        return imageId;
      }),
    end(reason) {
      closing.abort(reason);
    },
  };
}
