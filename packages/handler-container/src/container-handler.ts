import {
  artifactMatcher,
  collectArtifacts,
  defineHandler,
  jobInput,
  LongshoreError,
  outputLimits,
  parseOutput,
  type Handler,
  type HandlerContext,
  type JobRuntime,
} from "@longshore/core";
import { buildImage } from "./build-image.ts";
import { assertOptions, type ContainerHandlerOptions } from "./container-handler-options.ts";
import { jobEnvironment } from "./job-environment.ts";
import { jobPlace } from "./job-place.ts";
import { policyGate } from "./policy-gate.ts";
import { provideImage } from "./provide-image.ts";
import { assertSuccess, report, runContainer, type FinishedContainer } from "./run-container.ts";
import { removeOrphans } from "./sandbox-labels.ts";
import { sandboxWishes } from "./sandbox-wishes.ts";
import { temporaryImages, type TemporaryImages } from "./temporary-images.ts";

/** What {@link containerHandler} answers to. */
export const containerOperations = [
  "container.run",
  "image.run",
  "sandbox.run",
  "build.run",
] as const;

const defaultMaxFileBytes = 16_777_216;

/**
 * Runs jobs of the modes `image`, `sandbox` and `build` in containers of their own, by whatever runtime it is given.
 *
 * Every job of these modes comes here, whatever its operation is called: a worker looks for `image.run`, `sandbox.run`
 * and `build.run`; `container.run` is the name for documents that are written by hand.
 *
 * @throws {RangeError} for options that cannot be meant
 */
export function containerHandler(options: ContainerHandlerOptions): Handler {
  assertOptions(options);
  const temporary = temporaryImages(options.images);
  return defineHandler({
    name: "container",
    operations: containerOperations,
    // What a worker that was killed left running would be in the way of the jobs it left behind.
    async setup() {
      await removeOrphans(options.runtime);
      await temporary.sweep();
    },
    execute: (context, payload) => runJob(context, payload, { options, temporary }),
  });
}

interface JobTools {
  readonly options: ContainerHandlerOptions;
  readonly temporary: TemporaryImages;
}

async function runJob(
  context: HandlerContext,
  payload: unknown,
  { options, temporary }: JobTools,
): Promise<unknown> {
  const { signal, workDir } = context;
  const runtime = assertMode(context.document.runtime);
  // Before anything is pulled or run: what cannot be done is no reason to fail afterwards.
  const globs = runtime.output?.artifacts ?? [];
  const isArtifact = artifactMatcher(globs);
  const limits = outputLimits(runtime, options);
  const wishes = sandboxWishes(runtime, options);
  const subject = options.subject?.(context) ?? `service:${context.workerId}`;
  const gate = policyGate(options.policy, subject, context);
  const maxBytes = options.maxFileBytes ?? defaultMaxFileBytes;
  const place = await jobPlace(workDir, runtime, maxBytes);
  const input = await jobInput(context, runtime, {
    payload,
    directory: place.directory,
    shownAs: place.inside,
    mode: 0o444,
  });
  const envs = jobEnvironment(context, runtime, {
    place,
    params: input.env,
    host: options.environment?.(context) ?? {},
  });
  const run = async (imageId: string): Promise<FinishedContainer> =>
    runContainer(context, {
      options,
      gate,
      parts: { imageId, runtime, wishes, place, envs },
      stdin: input.stdin,
      limits,
    });
  const build = async (): Promise<FinishedContainer> => {
    const temporaryName = await temporary.reserve();
    try {
      return await run(await buildImage(context, options, { gate, maxBytes, temporaryName }));
    } finally {
      await temporary.release(temporaryName, context.logger);
    }
  };
  const finished =
    runtime.mode === "build"
      ? await build()
      : await run(await provideImage(context, options, gate));
  report(context, finished);
  signal.throwIfAborted();
  assertSuccess(finished.status);
  if (globs.length > 0) await collectArtifacts(context, place.artifactsDir, isArtifact);
  return parseOutput(finished.output.stdout(), runtime);
}

/** The mode is what admission rules allow or refuse: a document without it must not get here by its operation's name. */
function assertMode(runtime: JobRuntime | undefined): JobRuntime {
  const mode = runtime?.mode ?? "handler";
  if (runtime !== undefined && ["image", "sandbox", "build"].includes(mode)) return runtime;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `Containers are only run for runtime.mode "image", "sandbox" or "build", not "${mode}".`,
    { phase: "validation" },
  );
}
