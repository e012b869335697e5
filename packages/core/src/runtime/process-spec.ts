import { posix } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { ImageConfig } from "../image/image-config.ts";
import type { ContainerConfig, KeyValue } from "./container.ts";
import type { ProcessSpec } from "./sandbox-driver.ts";
import type { LinuxContainerSecurityContext } from "./security-context.ts";

/** A container's first process, and the signal that asks it to stop. */
export interface ContainerProcess extends ProcessSpec {
  /** As the configuration or the image spells it; an image may write it without `SIG`, or as a number */
  readonly stopSignal: string;
}

/**
 * Puts an image's configuration and a container's together, by the CRI's rules: a command replaces the entry point and
 * drops the image's arguments, arguments replace only the latter, and variables, working directory, user and stop signal
 * of the container win.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when neither names a command, for a variable's name with `=` or NUL, and for
 *   a group without a user
 */
export function mergeImageConfig(image: ImageConfig, config: ContainerConfig): ContainerProcess {
  const argv = mergeCommand(image, config);
  if (argv.length === 0) {
    throw invalid("command", "There is no command: neither the container nor its image has one.");
  }
  const user = containerUser(config.linux?.securityContext, image.user);
  return {
    argv,
    env: mergeEnv(image.env, config.envs ?? []),
    workingDir: config.workingDir || posix.resolve("/", image.workingDir ?? ""),
    tty: config.tty ?? false,
    stdin: config.stdin ?? false,
    stopSignal: config.stopSignal ?? (image.stopSignal || "SIGTERM"),
    ...(user !== undefined && { user }),
  };
}

/**
 * Who a container's processes run as, in the form of {@link ProcessSpec.user}: what the security context says, else
 * `otherwise`, which is the image's user.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a group without a user, and for an id that is none
 */
export function containerUser(
  context: LinuxContainerSecurityContext | undefined,
  otherwise?: string,
): string | undefined {
  const { runAsUser, runAsUsername, runAsGroup } = context ?? {};
  checkId("runAsUser", runAsUser);
  checkId("runAsGroup", runAsGroup);
  if (runAsUsername?.includes(":") === true) {
    throw invalid("runAsUsername", "The name of a user has no colon.");
  }
  const user = runAsUser === undefined ? runAsUsername || undefined : String(runAsUser);
  if (runAsGroup === undefined) return user ?? (otherwise || undefined);
  if (user === undefined) {
    throw invalid("runAsGroup", "A group needs a user: set runAsUser or runAsUsername as well.");
  }
  return `${user}:${runAsGroup}`;
}

function mergeCommand(image: ImageConfig, config: ContainerConfig): readonly string[] {
  const { command = [], args = [] } = config;
  if (command.length > 0) return [...command, ...args];
  return [...image.entrypoint, ...(args.length > 0 ? args : image.cmd)];
}

function mergeEnv(
  image: readonly string[],
  config: readonly KeyValue[],
): readonly (string | Uint8Array)[] {
  const merged = new Map<string, string | Uint8Array>();
  for (const entry of image) {
    const end = entry.indexOf("=");
    // Without a name or a value it says nothing that a process could read.
    if (end > 0) merged.set(entry.slice(0, end), entry);
  }
  for (const { key, value } of config) {
    if (key === "" || key.includes("=") || key.includes("\0")) {
      throw invalid(
        "envs",
        `A variable's name is not empty and has no "=" or NUL: ${JSON.stringify(key)}.`,
      );
    }
    merged.set(
      key,
      typeof value === "string"
        ? `${key}=${value}`
        : Buffer.concat([Buffer.from(`${key}=`), value]),
    );
  }
  return [...merged.values()];
}

function checkId(field: string, id: number | undefined): void {
  // The kernel takes the highest one for "no id".
  if (id === undefined || (Number.isInteger(id) && id >= 0 && id < 0xff_ff_ff_ff)) return;
  throw invalid(field, `An id is a whole number from 0 to 4294967294, not ${id}.`);
}

function invalid(field: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, { details: { field } });
}
