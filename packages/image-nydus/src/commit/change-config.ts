import type { CommitRootfsOptions, ImageConfigChanges } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { parseBoundedJson } from "../registry/bounded-json.ts";
import { parseImageConfigFile, type ImageProcessConfig } from "../registry/image-config-file.ts";

export interface ConfigChange extends Pick<CommitRootfsOptions, "config" | "comment" | "author"> {
  /** RFC 3339 */
  readonly created: string;
}

/** What histories name as the maker of an image that was committed */
const creator = "longshore commit";

/**
 * The configuration of an image that was made of another one's root filesystem: its changes, and one more step of history.
 * What is not named here stays.
 *
 * @param base the other image's configuration
 * @throws {LongshoreError} `VALIDATION_ERROR` for changes that no configuration can have
 */
export function changeConfig(base: Buffer, change: ConfigChange): Buffer {
  const { config = {}, comment, author, created } = change;
  check(config);
  const file = { ...(parseBoundedJson(base, "config") as Record<string, unknown>) };
  const before = parseImageConfigFile(base);
  file["created"] = created;
  if (author !== undefined) file["author"] = author;
  file["config"] = { ...(file["config"] as object | null), ...changed(before.config, config) };
  file["history"] = [
    ...((file["history"] as readonly object[] | null | undefined) ?? []),
    {
      created,
      created_by: creator,
      ...(author !== undefined && { author }),
      ...(comment !== undefined && { comment }),
    },
  ];
  const bytes = Buffer.from(JSON.stringify(file));
  parseImageConfigFile(bytes);
  return bytes;
}

function changed(
  before: ImageProcessConfig = {},
  changes: ImageConfigChanges,
): Record<string, unknown> {
  const { user, env, entrypoint, cmd, workingDir, stopSignal } = changes;
  const { labels, exposedPorts, volumes } = changes;
  return {
    ...(user !== undefined && { User: user }),
    ...(env !== undefined && { Env: mergeEnv(before.Env ?? [], env) }),
    ...(entrypoint !== undefined && { Entrypoint: entrypoint }),
    ...(cmd !== undefined && { Cmd: cmd }),
    ...(workingDir !== undefined && { WorkingDir: workingDir }),
    ...(stopSignal !== undefined && { StopSignal: stopSignal }),
    ...(labels !== undefined && { Labels: { ...before.Labels, ...labels } }),
    ...(exposedPorts !== undefined && {
      ExposedPorts: { ...before.ExposedPorts, ...toSet(exposedPorts) },
    }),
    ...(volumes !== undefined && { Volumes: { ...before.Volumes, ...toSet(volumes) } }),
  };
}

function mergeEnv(before: readonly string[], env: readonly string[]): readonly string[] {
  const merged = new Map(before.map((line) => [keyOf(line), line]));
  for (const line of env) merged.set(keyOf(line), line);
  return [...merged.values()];
}

function keyOf(line: string): string {
  return line.split("=", 1)[0] ?? "";
}

function toSet(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

function check({ env = [], workingDir = "", exposedPorts = [], volumes = [] }: ImageConfigChanges) {
  const wrong = (field: string, expected: string): LongshoreError =>
    new LongshoreError("VALIDATION_ERROR", `config.${field} must be ${expected}.`, {
      details: { field: `config.${field}`, expected },
    });
  if (!env.every((line) => line.indexOf("=") > 0)) throw wrong("env", "KEY=value");
  if (workingDir !== "" && !workingDir.startsWith("/")) throw wrong("workingDir", "absolute");
  if (!exposedPorts.every((port) => /^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/.test(port))) {
    throw wrong("exposedPorts", "ports as in 80/tcp");
  }
  if (!volumes.every((path) => path.startsWith("/"))) throw wrong("volumes", "absolute paths");
}
