import {
  checkAdmission,
  LongshoreError,
  normalizeImage,
  type HandlerContext,
  type PullProgress,
} from "@longshore/core";
import type { ContainerHandlerOptions } from "./container-handler-options.ts";
import type { PolicyGate } from "./policy-gate.ts";
import { invalid } from "./sandbox-wishes.ts";

/**
 * Brings the image of a job into the store, once the worker's rules and policy have let it in. Resolves to its id, so
 * that a tag which moves meanwhile changes nothing.
 *
 * @throws {LongshoreError} `IMAGE_NOT_ALLOWED`, `POLICY_DENIED`, `VALIDATION_ERROR`, and what pulling throws
 */
export async function provideImage(
  context: HandlerContext,
  options: ContainerHandlerOptions,
  gate: PolicyGate,
): Promise<string> {
  const { images, rules, pull = "missing", auth, runtimeHandler } = options;
  const { document, signal } = context;
  // Again, although the worker has: nothing is fetched from anywhere without having been let in by these rules.
  checkAdmission(document, rules);
  const wanted = document.runtime?.image ?? options.sandboxImage;
  if (wanted === undefined) throw invalid("runtime.image", "is needed to run a container");
  const image = normalizeImage(wanted);
  const spec = { image, userSpecifiedImage: wanted, runtimeHandler };
  await gate.assert(`image:${image}`, pull === "never" ? "query" : "write");
  const present =
    pull === "always" ? undefined : (await images.imageStatus({ image: spec }, { signal })).image;
  if (present !== undefined) return present.id;
  if (pull === "never") {
    throw new LongshoreError(
      "IMAGE_NOT_FOUND",
      `Image "${image}" is not in the store, and this worker pulls none.`,
    );
  }
  const onProgress = (progress: PullProgress): void => {
    context.progress({ phase: "image_pull", message: pullMessage(image, progress) });
  };
  return images.pullImage({ image: spec, auth: await auth?.(image) }, { signal, onProgress });
}

function pullMessage(image: string, { phase, receivedBytes, totalBytes }: PullProgress): string {
  const bytes = totalBytes === undefined ? `${receivedBytes}` : `${receivedBytes} of ${totalBytes}`;
  return `${image}: ${phase}, ${bytes} bytes`;
}
