import { join, resolve } from "node:path";
import { rm } from "node:fs/promises";
import { isLongshoreError, type RuntimeClient } from "@longshore/core";
import { containerExitCodes } from "../../exit-codes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal } from "../../terminal.ts";
import { pullDisplay } from "../image/pull-display.ts";
import { forwardSignals } from "./forward-signals.ts";
import { openHomeRuntime, type HomeRuntime } from "./home-runtime.ts";
import type { RuntimeFlags } from "./reach-runtime.ts";
import { joinTerminal } from "./join-terminal.ts";
import { runConfigs, type RunFlags } from "./run-flags.ts";

export interface RunCommandFlags extends RuntimeFlags, RunFlags {
  readonly detach?: boolean;
  readonly keep?: boolean;
  readonly runtime?: string;
  readonly pull: "always" | "missing" | "never";
}

/** Runs a command in a new container of an image; its exit code is the command's. */
export async function runContainer(
  image: string,
  command: readonly string[],
  flags: RunCommandFlags,
): Promise<number> {
  const terminal = openTerminal(flags);
  await using home = await openHomeRuntime(flags);
  const { runtime } = home;
  const made = await interruptible(async (signal) => {
    const imageId = await provideImage(home, image, { flags, signal });
    const logDirectory = join(resolve(flags.home), "logs", crypto.randomUUID());
    const { sandbox, container } = runConfigs(image, command, { flags, logDirectory, imageId });
    const { runtime: runtimeHandler = "" } = flags;
    const podSandboxId = await runtime.runPodSandbox(
      { config: sandbox, runtimeHandler },
      { signal },
    );
    try {
      const containerId = await runtime.createContainer(
        { podSandboxId, config: container, sandboxConfig: sandbox },
        { signal },
      );
      return { podSandboxId, containerId, logDirectory };
    } catch (error) {
      await remove(runtime, podSandboxId, logDirectory);
      throw error;
    }
  });
  const { podSandboxId, containerId, logDirectory } = made;
  if (flags.detach === true) {
    await startOrExplain(runtime, containerId, () => remove(runtime, podSandboxId, logDirectory));
    if (terminal.isJson) {
      terminal.printJson({ container_id: containerId, pod_sandbox_id: podSandboxId });
    } else terminal.print(containerId);
    return 0;
  }
  try {
    return await inFront(runtime, containerId, flags);
  } finally {
    if (flags.keep !== true) await remove(runtime, podSandboxId, logDirectory);
  }
}

/** Starts the container with this process's streams, and waits for its end. */
async function inFront(
  runtime: RuntimeClient,
  containerId: string,
  flags: RunCommandFlags,
): Promise<number> {
  const { interactive = false, tty = false } = flags;
  const session = await runtime.attach?.({ containerId, stdin: interactive, stderr: !tty });
  try {
    if (tty && process.stdout.isTTY) {
      await session?.resize({ width: process.stdout.columns, height: process.stdout.rows });
    }
    await startOrExplain(runtime, containerId, async () => undefined);
    using _signals = forwardSignals(
      // A process that has ended meanwhile needs no signal.
      (signal) => void runtime.signalContainer?.({ containerId, signal }).catch(() => undefined),
      () => void runtime.stopContainer({ containerId, timeout: 0 }).catch(() => undefined),
    );
    const ended = runtime.waitContainer?.({ containerId });
    if (session !== undefined) await joinTerminal(session, { hasInput: interactive, isTty: tty });
    const status = (await ended) ?? (await runtime.containerStatus({ containerId })).status;
    if (status.reason === "OOMKilled") {
      process.stderr.write("longshore: the container was killed for want of memory (--memory)\n");
    }
    return status.exitCode;
  } finally {
    await session?.[Symbol.asyncDispose]();
  }
}

/** As shells do: 127 for a program that is not there, 126 for one that cannot be run. */
async function startOrExplain(
  runtime: RuntimeClient,
  containerId: string,
  undo: () => Promise<void>,
): Promise<void> {
  try {
    await runtime.startContainer({ containerId });
  } catch (error) {
    await undo();
    if (!isLongshoreError(error)) throw error;
    const isMissing = /not found|no such file/i.test(error.message);
    throw Object.assign(error, {
      exitCode: isMissing ? containerExitCodes.notFound : containerExitCodes.cannotRun,
    });
  }
}

async function provideImage(
  { images }: HomeRuntime,
  image: string,
  { flags, signal }: { readonly flags: RunCommandFlags; readonly signal: AbortSignal },
): Promise<string> {
  if (flags.pull !== "always") {
    const { image: present } = await images.imageStatus({ image: { image } }, { signal });
    if (present !== undefined || flags.pull === "never") return present?.id ?? image;
  }
  using display = pullDisplay(openTerminal(flags), flags.json === true);
  return await images.pullImage(
    { image: { image } },
    {
      signal,
      onProgress: (progress) => {
        // Finding out that the image is there already is nothing to tell.
        if (progress.phase !== "resolve") display.show(progress);
      },
    },
  );
}

async function remove(
  runtime: RuntimeClient,
  podSandboxId: string,
  logDirectory: string,
): Promise<void> {
  await runtime.removePodSandbox({ podSandboxId });
  await rm(logDirectory, { recursive: true, force: true });
}
