import type { NamespaceOption, PodSandboxConfig, UserNamespace } from "@longshore/core";
import {
  checkCount,
  checkMap,
  checkOptionalText,
  checkPath,
  checkText,
  invalid,
  ownCopy,
} from "./check-fields.ts";
import { checkDnsConfig } from "./check-dns-config.ts";
import { checkResources } from "./check-resources.ts";

/**
 * A copy of a sandbox's configuration that makes sense.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with the field
 */
export function checkSandboxConfig(given: PodSandboxConfig): PodSandboxConfig {
  const config = ownCopy("config", given);
  const { metadata, logDirectory, portMappings = [], linux } = config;
  if (typeof metadata !== "object") throw invalid("config.metadata", "must be there.");
  for (const field of ["name", "uid", "namespace"] as const) {
    checkText(`config.metadata.${field}`, metadata[field]);
  }
  checkCount("config.metadata.attempt", metadata.attempt);
  checkMap("config.labels", config.labels);
  checkMap("config.annotations", config.annotations);
  checkHostname(config.hostname);
  checkDnsConfig("config.dnsConfig", config.dnsConfig);
  checkMap("config.linux.sysctls", linux?.sysctls);
  if (logDirectory !== undefined && logDirectory !== "") {
    checkPath("config.logDirectory", logDirectory);
  }
  for (const { containerPort, hostPort } of portMappings) {
    checkPort("config.portMappings.containerPort", containerPort, 1);
    checkPort("config.portMappings.hostPort", hostPort, 0);
  }
  checkOptionalText("config.linux.cgroupParent", linux?.cgroupParent);
  checkResources("config.linux.resources", linux?.resources);
  checkResources("config.linux.overhead", linux?.overhead);
  const context = linux?.securityContext;
  if (context?.runAsGroup !== undefined && context.runAsUser === undefined) {
    throw invalid("config.linux.securityContext.runAsGroup", "needs runAsUser as well.");
  }
  checkNamespaces("config.linux.securityContext.namespaceOptions", context?.namespaceOptions);
  return config;
}

/** What no runtime could honour. */
export function checkNamespaces(field: string, options: NamespaceOption | undefined): void {
  const { usernsOptions, pid, targetId } = options ?? {};
  if (usernsOptions !== undefined) checkUserNamespace(`${field}.usernsOptions`, usernsOptions);
  if (pid === "target") checkText(`${field}.targetId`, targetId);
}

function checkUserNamespace(field: string, { mode, uids, gids }: UserNamespace): void {
  if (mode !== "pod" && mode !== "node") throw invalid(`${field}.mode`, 'must be "pod" or "node".');
  if (mode === "node") return;
  for (const [name, mappings] of Object.entries({ uids, gids })) {
    const [only] = mappings ?? [];
    if (only === undefined || mappings.length !== 1) {
      throw invalid(`${field}.${name}`, "must be exactly one mapping.");
    }
    if (only.containerId !== 0 || only.length < 1) {
      throw invalid(`${field}.${name}`, "must map the container's id 0.");
    }
  }
}

function checkPort(field: string, port: unknown, min: number): void {
  if (typeof port === "number" && Number.isInteger(port) && port >= min && port <= 65_535) return;
  throw invalid(field, `must be a port from ${min} to 65535.`);
}

/** What sethostname(2) takes, and what can stand in `/etc/hosts` without being more than one name. */
function checkHostname(hostname: string | undefined): void {
  if (hostname === undefined || hostname === "") return;
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/.test(hostname)) {
    throw invalid(
      "config.hostname",
      "must be a host name of at most 64 letters, digits, - and dots.",
    );
  }
}
