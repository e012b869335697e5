import type { Abortable, RuntimeClient } from "@longshore/core";
import type { NydusImageStore } from "@longshore/image-nydus";
import { openImageStore } from "../image/image-store.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";

/** The containers and images of a home directory. */
export interface HomeRuntime extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly images: NydusImageStore;
}

/**
 * Opens the image store of a home directory beside its containers, for commands that may pull.
 *
 * @throws {LongshoreError} what {@link reachRuntime} and opening the store throw
 */
export async function openHomeRuntime(
  flags: RuntimeFlags,
  { signal }: Abortable = {},
): Promise<HomeRuntime> {
  const runtime = await reachRuntime(flags, { signal });
  try {
    const images = await openImageStore(flags);
    return {
      runtime,
      images,
      async [Symbol.asyncDispose]() {
        await images[Symbol.asyncDispose]();
        await runtime[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await runtime[Symbol.asyncDispose]();
    throw error;
  }
}
