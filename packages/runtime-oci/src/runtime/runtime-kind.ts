/** How the OCI runtimes differ in what the driver needs of them. */
export interface RuntimeKind {
  readonly name: "runc" | "crun" | "runsc";
  /** Options before the command, given the directory for its state */
  readonly globalOptions: (stateDirectory: string) => readonly string[];
  /** Whether an executed process gets a cgroup of its own, below the container's */
  readonly hasExecCgroups: boolean;
  /** Whether it stops at machines that mount version 2 of cgroups beside version 1 */
  readonly refusesHybridCgroups: boolean;
  readonly debianPackage: string;
}

export const runtimeKinds: readonly RuntimeKind[] = [
  {
    name: "runc",
    globalOptions: (state) => ["--root", state],
    hasExecCgroups: true,
    refusesHybridCgroups: false,
    debianPackage: "runc",
  },
  {
    name: "crun",
    globalOptions: (state) => ["--root", state],
    hasExecCgroups: true,
    refusesHybridCgroups: true,
    debianPackage: "crun",
  },
];
