import { randomUUID } from "node:crypto";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { ImageSpec } from "../image/image.ts";
import type { KeyValue } from "./container.ts";
import type { ExecRequest } from "./exec-session.ts";
import { execFiles } from "./exec-files.ts";
import { runCommand } from "./run-command.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import { checkSandboxOptions, containerConfig, podSandboxConfig } from "./sandbox-config.ts";
import type { CommandOptions, Sandbox, SandboxOptions } from "./sandbox.ts";

/**
 * Makes a sandbox with one container in it, ready to run commands. When it rejects or is aborted, nothing stays.
 *
 * @throws {LongshoreError} what pulling the image and `RuntimeClient` throw; `SANDBOX_CREATE_FAILED` when a sandbox that
 *   was half made could not be removed, its id in `details.podSandboxId`
 */
export async function openSandbox(
  runtime: RuntimeClient,
  options: SandboxOptions,
): Promise<Sandbox> {
  checkSandboxOptions(options);
  const { signal, runtimeHandler = "" } = options;
  signal?.throwIfAborted();
  const image = await provideImage(options);
  const config = podSandboxConfig(options, randomUUID());
  const podSandboxId = await runtime.runPodSandbox({ config, runtimeHandler }, { signal });
  try {
    const containerId = await runtime.createContainer(
      { podSandboxId, config: containerConfig(options, image), sandboxConfig: config },
      { signal },
    );
    await runtime.startContainer({ containerId }, { signal });
    return facade(runtime, podSandboxId, containerId);
  } catch (error) {
    await undo(runtime, podSandboxId, error);
    throw error;
  }
}

/** Not bound to the caller's signal: an abort must not leave a sandbox behind. */
async function undo(runtime: RuntimeClient, podSandboxId: string, cause: unknown): Promise<void> {
  try {
    await runtime.removePodSandbox({ podSandboxId });
  } catch (error) {
    const reasons = [cause, error].map((one) => (one instanceof Error ? one.message : String(one)));
    throw new LongshoreError(
      "SANDBOX_CREATE_FAILED",
      `The sandbox was not made (${reasons[0]}) and could not be removed (${reasons[1]}).`,
      { cause, details: { podSandboxId } },
    );
  }
}

async function provideImage(options: SandboxOptions): Promise<ImageSpec> {
  const { image, images, pull = "missing", auth, runtimeHandler, onPullProgress, signal } = options;
  const spec: ImageSpec = { image, userSpecifiedImage: image, runtimeHandler };
  if (images === undefined || pull === "never") return spec;
  const present =
    pull === "missing" ? (await images.imageStatus({ image: spec }, { signal })).image : undefined;
  const id =
    present?.id ??
    (await images.pullImage({ image: spec, auth }, { signal, onProgress: onPullProgress }));
  // The id, so that a tag which moves meanwhile changes nothing.
  return { ...spec, image: id };
}

function facade(runtime: RuntimeClient, id: string, containerId: string): Sandbox {
  let removal: Promise<void> | undefined;

  const toRequest = (command: readonly string[], options: CommandOptions): ExecRequest => {
    if (command.length === 0) throw new TypeError("a command needs a program to run");
    if (removal !== undefined) {
      throw new LongshoreError("SANDBOX_INVALID_STATE", `The sandbox ${id} is closed.`);
    }
    const { env = {}, cwd, user } = options;
    return { containerId, cmd: command, envs: toKeyValues(env), workingDir: cwd, user };
  };

  return {
    id,
    containerId,
    files: runtime.files?.({ containerId }) ?? execFiles(runtime, containerId),
    async run(command, options = {}) {
      const finished = await runCommand(runtime, toRequest(command, options), options);
      const { exit, stdout, stderr } = finished;
      return {
        ...exit,
        stdout: stdout.bytes().toString("utf8"),
        stderr: stderr.bytes().toString("utf8"),
        stdoutTruncated: stdout.droppedBytes() > 0,
        stderrTruncated: stderr.droppedBytes() > 0,
        stdoutBytesTruncated: stdout.droppedBytes(),
        stderrBytesTruncated: stderr.droppedBytes(),
      };
    },
    async spawn(command, options = {}) {
      const { tty = false, terminalSize, output = "pipe", signal } = options;
      const request: ExecRequest = {
        ...toRequest(command, options),
        tty,
        terminalSize,
        stdin: true,
        stdout: output === "pipe",
        stderr: output === "pipe" && !tty,
      };
      return runtime.exec(request, { signal });
    },
    async [Symbol.asyncDispose]() {
      removal ??= runtime.removePodSandbox({ podSandboxId: id });
      try {
        await removal;
      } catch (error) {
        removal = undefined;
        throw error;
      }
    },
  };
}

function toKeyValues(env: Readonly<Record<string, string>>): readonly KeyValue[] {
  return Object.entries(env).map(([key, value]) => ({ key, value }));
}
