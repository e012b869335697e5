import type { ImageConfig } from "@longshore/core";
import type { ImageConfigFile } from "../registry/image-config-file.ts";

/** What an image's configuration says about its processes. */
export function toImageConfig(file: ImageConfigFile): ImageConfig {
  const { config = {} } = file;
  return {
    ...(config.User !== undefined && config.User !== "" && { user: config.User }),
    env: config.Env ?? [],
    entrypoint: config.Entrypoint ?? [],
    cmd: config.Cmd ?? [],
    ...(config.WorkingDir !== undefined &&
      config.WorkingDir !== "" && { workingDir: config.WorkingDir }),
    ...(config.StopSignal !== undefined && { stopSignal: config.StopSignal }),
    labels: config.Labels ?? {},
    exposedPorts: Object.keys(config.ExposedPorts ?? {}),
    volumes: Object.keys(config.Volumes ?? {}),
    os: file.os,
    architecture: file.architecture,
  };
}

/** The user of an image as the CRI tells it: a number, or a name. Absent for images that do not say. */
export function imageUser(
  config: ImageConfig,
): { readonly uid: number } | { readonly username: string } | undefined {
  const name = config.user?.split(":", 1)[0] ?? "";
  if (name === "") return undefined;
  return /^\d{1,10}$/.test(name) ? { uid: Number(name) } : { username: name };
}
