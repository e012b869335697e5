import type { LinuxContainerResources } from "@longshore/core";

/** Paths of one build; all below the job's work directory, and gone with it. */
export interface BuildPlace {
  readonly contextDir: string;
  readonly dockerfile: string;
  readonly stateDir: string;
  /** OCI image layout to write */
  readonly layout: string;
}

export interface BuildWishes {
  readonly args: Readonly<Record<string, string>>;
  readonly resources: LinuxContainerResources;
}

/** buildah(1), with a store of the build's own; without network, and under the job's limits. */
export function buildahCommands(
  { contextDir, dockerfile, stateDir, layout }: BuildPlace,
  { args, resources }: BuildWishes,
): readonly (readonly string[])[] {
  const store = [
    "buildah",
    "--root",
    `${stateDir}/root`,
    "--runroot",
    `${stateDir}/run`,
    "--storage-driver",
    "vfs",
  ];
  const name = "localhost/longshore-build";
  const limits = [
    "--memory",
    String(resources.memoryLimitInBytes ?? 0),
    "--memory-swap",
    String(resources.memorySwapLimitInBytes ?? 0),
    "--cpu-period",
    String(resources.cpuPeriod ?? 0),
    "--cpu-quota",
    String(resources.cpuQuota ?? 0),
  ];
  const build = [
    ...store,
    "build",
    "--network",
    "none",
    "--file",
    dockerfile,
    "--tag",
    name,
    "--format",
    "oci",
    ...limits,
    ...Object.entries(args).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]),
    contextDir,
  ];
  return [build, [...store, "push", name, `oci:${layout}:latest`]];
}

/** buildctl(1), which has the daemon of BuildKit build. */
export function buildkitCommands(
  { contextDir, dockerfile, layout }: BuildPlace,
  { args }: BuildWishes,
): readonly (readonly string[])[] {
  const directory = dockerfile.slice(0, dockerfile.lastIndexOf("/"));
  return [
    [
      "buildctl",
      "build",
      "--frontend",
      "dockerfile.v0",
      "--local",
      `context=${contextDir}`,
      "--local",
      `dockerfile=${directory}`,
      "--opt",
      "force-network-mode=none",
      ...Object.entries(args).flatMap(([key, value]) => ["--opt", `build-arg:${key}=${value}`]),
      "--output",
      `type=oci,tar=false,dest=${layout}`,
    ],
  ];
}
