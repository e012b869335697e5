import type { AuthConfig, Logger, PullImageOptions, PullProgress } from "@longshore/core";
import type { RegistryClient } from "../registry/client/registry-client.ts";
import { parseImageSource } from "../registry/image-location.ts";
import { openImageSource } from "../registry/open-image-source.ts";
import type { Platform } from "../registry/platform.ts";
import type { ImageMetrics } from "./image-metrics.ts";
import { originOf } from "./image-names.ts";
import { pullImage, type PullContext } from "./pull-image.ts";
import { sharedTasks } from "./shared-task.ts";

/** What is pulled. */
interface PullOrder {
  /** Where the image is, as the user wrote it */
  readonly text: string;
  readonly platform: Platform;
  readonly auth?: AuthConfig | undefined;
  /** What is written down as the image's origin. @default the text */
  readonly origin?: string | undefined;
}

/** The pulls of one store: those of the same image at the same time are one. */
export interface ImagePulls {
  /** @returns the image's id */
  pull(order: PullOrder, options?: PullImageOptions): Promise<string>;
  /** Aborts what is under way, and resolves when it has ended. */
  end(reason: Error): Promise<void>;
}

export interface ImagePullsOptions extends Omit<PullContext, "platform" | "onConverted"> {
  readonly client: RegistryClient;
  readonly logger: Logger;
  readonly metrics: ImageMetrics;
  /** Throws when the store is closed */
  assertOpen(): void;
  onPulled(imageId: string, auth: AuthConfig | undefined): void;
  onFailed(): void;
  /** A pull has ended, one way or the other, and holds nothing any more. */
  onEnded(): Promise<void>;
}

export function imagePulls(options: ImagePullsOptions): ImagePulls {
  const { client, logger, metrics } = options;
  const tasks = sharedTasks<string, PullProgress>();

  return {
    async pull({ text, platform, auth, origin }, pullOptions = {}) {
      options.assertOpen();
      const location = parseImageSource(text);
      // Pulls with other credentials are others' pulls: who may not read an image must not get it by joining.
      const key = JSON.stringify([location, auth ?? null, platform]);
      return tasks.run(key, pullOptions, async ({ signal, report }) => {
        await using _afterwards = { [Symbol.asyncDispose]: () => options.onEnded() };
        await using source = await openImageSource(location, { client, auth });
        const startedAt = performance.now();
        const context: PullContext = {
          ...options,
          platform,
          onConverted: (chunks) => {
            metrics.converted(chunks);
          },
        };
        const imageId = await pullImage(context, {
          text: origin ?? originOf(location, text),
          location,
          source,
          signal,
          report: metrics.watch(report),
        }).catch((error: unknown) => {
          options.onFailed();
          throw error;
        });
        metrics.pulled(performance.now() - startedAt);
        logger.info({ imageId, image: text }, "image pulled");
        options.onPulled(imageId, auth);
        return imageId;
      });
    },
    end: (reason) => tasks.end(reason),
  };
}
