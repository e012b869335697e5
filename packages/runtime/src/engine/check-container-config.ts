import type { ContainerConfig, Mount, PodSandboxConfig } from "@longshore/core";
import { checkCount, checkMap, checkPath, checkText, invalid, ownCopy } from "./check-fields.ts";
import { checkResources } from "./check-resources.ts";
import { checkNamespaces } from "./check-sandbox-config.ts";

/**
 * A copy of a container's configuration that makes sense in its sandbox.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with the field
 */
export function checkContainerConfig(
  given: ContainerConfig,
  sandbox: PodSandboxConfig,
): ContainerConfig {
  const config = ownCopy("config", given);
  const { metadata, image, logPath, linux } = config;
  if (typeof metadata !== "object") throw invalid("config.metadata", "must be there.");
  checkText("config.metadata.name", metadata.name);
  checkCount("config.metadata.attempt", metadata.attempt);
  if (typeof image !== "object") throw invalid("config.image", "must be there.");
  checkText("config.image.image", image.image);
  checkMap("config.labels", config.labels);
  checkMap("config.annotations", config.annotations);
  if (logPath !== undefined && logPath !== "") checkRelative("config.logPath", logPath);
  if (config.workingDir !== undefined && config.workingDir !== "") {
    checkPath("config.workingDir", config.workingDir);
  }
  for (const text of [...(config.command ?? []), ...(config.args ?? [])]) {
    if (typeof text !== "string" || text.includes("\0")) {
      throw invalid("config.command", "must be texts without NUL characters.");
    }
  }
  for (const { key, value } of config.envs ?? []) {
    checkText("config.envs.key", key, 32_768);
    if (key.includes("=")) throw invalid("config.envs.key", 'must not have "=".');
    if (typeof value === "string" ? value.includes("\0") : value.includes(0)) {
      throw invalid(`config.envs.${key.slice(0, 100)}`, "must not have NUL characters.");
    }
  }
  for (const [index, mount] of (config.mounts ?? []).entries()) {
    checkMount(`config.mounts[${index}]`, mount);
  }
  checkResources("config.linux.resources", linux?.resources);
  const context = linux?.securityContext;
  if (context?.privileged === true && sandbox.linux?.securityContext?.privileged !== true) {
    throw invalid("config.linux.securityContext.privileged", "needs a sandbox that is privileged.");
  }
  checkNamespaces("config.linux.securityContext.namespaceOptions", context?.namespaceOptions);
  return config;
}

function checkMount(field: string, mount: Mount): void {
  checkPath(`${field}.containerPath`, mount.containerPath);
  const { image, hostPath, readonly = false, propagation = "private" } = mount;
  if (image === undefined) {
    checkPath(`${field}.hostPath`, hostPath);
    if (mount.imageSubPath) throw invalid(`${field}.imageSubPath`, "needs an image.");
  } else {
    checkText(`${field}.image.image`, image.image);
    if (hostPath) throw invalid(`${field}.hostPath`, "must be empty with an image.");
    if (!readonly) throw invalid(`${field}.readonly`, "must be true with an image.");
    if (mount.imageSubPath) checkRelative(`${field}.imageSubPath`, mount.imageSubPath);
  }
  if (mount.recursiveReadOnly === true && (!readonly || propagation !== "private")) {
    throw invalid(`${field}.recursiveReadOnly`, "needs readonly and private propagation.");
  }
}

/** A path below a directory that is not named here. */
function checkRelative(field: string, path: unknown): void {
  const text = checkText(field, path);
  const parts = text.split("/");
  if (text.startsWith("/") || parts.includes("..") || /^\.?$/.test(parts.at(-1) ?? "")) {
    throw invalid(field, "must be a relative path that stays below its directory.");
  }
}
