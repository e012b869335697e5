import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import {
  LongshoreError,
  type ContainerConfig,
  type KeyValue,
  type LinuxContainerResources,
  type Mount,
  type NamespaceOption,
  type PodSandboxConfig,
  type PortMapping,
} from "@longshore/core";
import { parseBytes } from "./parse-bytes.ts";

/** What `run` can be told of a container. */
export interface RunFlags {
  readonly name?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly volume?: readonly string[];
  readonly publish?: readonly string[];
  readonly label?: readonly string[];
  readonly egress?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: string;
  readonly hostname?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly pids?: string;
  readonly network?: "none" | "bridge" | "host";
  readonly readOnly?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly stopSignal?: string;
}

export interface RunConfigs {
  readonly sandbox: PodSandboxConfig;
  readonly container: ContainerConfig;
}

/** Label of everything that the command has made. */
const commandLabel = "longshore.command";

const cpuPeriodUs = 100_000;
const namePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The sandbox and the container that the flags ask for.
 *
 * @param logDirectory where the container's log goes
 * @throws {LongshoreError} `VALIDATION_ERROR` naming the flag
 */
export function runConfigs(
  image: string,
  command: readonly string[],
  options: { readonly flags: RunFlags; readonly logDirectory: string; readonly imageId: string },
): RunConfigs {
  const { flags, logDirectory, imageId } = options;
  const { name = `run-${randomBytes(4).toString("hex")}`, hostname = name, tty = false } = flags;
  if (!namePattern.test(name)) {
    throw invalid("--name", "a lower-case host name without dots, of at most 63 characters", name);
  }
  const labels = Object.fromEntries((flags.label ?? []).map((text) => pair("--label", text)));
  const namespaceOptions: NamespaceOption = {
    network: networkOf(flags),
    // With the sandbox's init as process 1: signals do what they do outside, and orphans are reaped.
    pid: "pod",
    ipc: "pod",
  };
  const seccomp = { profileType: "runtimeDefault" } as const;
  return {
    sandbox: {
      metadata: { name, uid: randomBytes(8).toString("hex"), namespace: "default", attempt: 0 },
      hostname,
      logDirectory,
      labels: { ...labels, [commandLabel]: "run" },
      portMappings: (flags.publish ?? []).map(portMapping),
      ...(flags.egress !== undefined && { egress: { allow: flags.egress } }),
      linux: { securityContext: { namespaceOptions, seccomp } },
    },
    container: {
      metadata: { name: "main", attempt: 0 },
      image: { image: imageId, userSpecifiedImage: image },
      command: flags.entrypoint === undefined ? undefined : [flags.entrypoint],
      args: command.length === 0 ? undefined : command,
      workingDir: flags.workdir,
      envs: (flags.env ?? []).map(environment),
      mounts: (flags.volume ?? []).map(volume),
      labels: { ...labels, [commandLabel]: "run" },
      logPath: "main.log",
      stdin: flags.interactive === true,
      stdinOnce: flags.interactive === true,
      tty,
      stopSignal: flags.stopSignal as ContainerConfig["stopSignal"],
      linux: {
        resources: resources(flags),
        securityContext: {
          namespaceOptions,
          seccomp,
          noNewPrivs: true,
          readonlyRootfs: flags.readOnly === true,
          capabilities: {
            addCapabilities: (flags.capAdd ?? []).map(capability),
            dropCapabilities: (flags.capDrop ?? []).map(capability),
          },
          ...identity(flags.user),
        },
      },
    },
  };
}

function networkOf({
  network,
  egress,
  publish,
}: RunFlags): NonNullable<NamespaceOption["network"]> {
  switch (network) {
    case "host":
      return "node";
    case "bridge":
      return "pod";
    case "none":
      if (egress !== undefined || publish !== undefined) {
        throw invalid("--network", "bridge with --egress or --publish", "none");
      }
      return "none";
    case undefined:
      // Who names hosts or ports wants a network.
      return egress !== undefined || publish !== undefined ? "pod" : "none";
    default:
      return network satisfies never;
  }
}

function resources({ memory, cpus, pids }: RunFlags): LinuxContainerResources {
  const processors = positive("--cpus", cpus);
  const processes = positive("--pids", pids);
  return {
    ...(memory !== undefined && { memoryLimitInBytes: parseBytes("--memory", memory) }),
    ...(processors !== undefined && {
      cpuPeriod: cpuPeriodUs,
      cpuQuota: Math.max(1_000, Math.round(processors * cpuPeriodUs)),
    }),
    ...(processes !== undefined && { unified: { "pids.max": String(Math.floor(processes)) } }),
  };
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw invalid(flag, "a number above 0", text);
}

/** `KEY=value`, or `KEY` for this process's own value. */
function environment(text: string): KeyValue {
  const at = text.indexOf("=");
  if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) };
  const own = at === -1 ? process.env[text] : undefined;
  if (own !== undefined && text !== "") return { key: text, value: own };
  throw invalid("--env", "KEY=value, or the name of a variable that is set here", text);
}

/** `host:container[:ro]`; the host's part may be relative. */
function volume(text: string): Mount {
  const [host, inside, mode, ...more] = text.split(":");
  const isMode = mode === undefined || mode === "ro" || mode === "rw";
  if (!host || !inside?.startsWith("/") || !isMode || more.length > 0) {
    throw invalid("--volume", "HOST-PATH:/PATH-INSIDE[:ro]", text);
  }
  return { hostPath: resolve(host), containerPath: inside, readonly: mode === "ro" };
}

/** `[[ip:]host:]container[/protocol]` */
function portMapping(text: string): PortMapping {
  const match =
    /^(?:(?:(\[[0-9a-fA-F:]+\]|[0-9.]+):)?(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text);
  const [, ip, hostText, insideText, protocol = "tcp"] = match ?? [];
  const containerPort = Number(insideText);
  const hostPort = Number(hostText ?? insideText);
  const isPort = (port: number): boolean => port > 0 && port < 65_536;
  if (match === null || !isPort(containerPort) || !isPort(hostPort)) {
    throw invalid("--publish", "[[IP:]HOST-PORT:]PORT[/tcp|udp|sctp]", text);
  }
  return {
    containerPort,
    hostPort,
    protocol: protocol as NonNullable<PortMapping["protocol"]>,
    ...(ip !== undefined && { hostIp: ip.replace(/^\[|\]$/g, "") }),
  };
}

function pair(flag: string, text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw invalid(flag, "KEY=value", text);
}

function capability(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

function identity(user: string | undefined) {
  if (user === undefined) return {};
  const ids = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user);
  if (ids === null) return { runAsUsername: user };
  const [, uid, gid] = ids;
  return { runAsUser: Number(uid), ...(gid !== undefined && { runAsGroup: Number(gid) }) };
}

/** What is wrong with a flag. */
export function invalid(flag: string, expected: string, given: string): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    `${flag} takes ${expected}, not ${JSON.stringify(given.slice(0, 200))}.`,
    { details: { field: flag, expected } },
  );
}
