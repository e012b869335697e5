/** How the OCI runtimes differ in what the driver needs of them. */
export interface RuntimeKind {
  readonly name: "runc" | "crun" | "runsc";
  /** Options before the command, given the directory for its state */
  readonly globalOptions: (stateDirectory: string) => readonly string[];
  /**
   * How an executed process gets a cgroup of its own with version 1 of cgroups: by an option, or in the hierarchy of version 2
   * beside it, which the runtime leaves alone
   */
  readonly execCgroups: "option" | "inherited";
  /** Whether it stops at machines that mount version 2 of cgroups beside version 1 */
  readonly refusesHybridCgroups: boolean;
  /** Whether the driver can use it as another user than root */
  readonly runsWithoutRoot: boolean;
  readonly debianPackage: string;
}

export const runtimeKinds: readonly RuntimeKind[] = [
  {
    name: "runc",
    globalOptions: (state) => ["--root", state],
    execCgroups: "option",
    refusesHybridCgroups: false,
    runsWithoutRoot: true,
    debianPackage: "runc",
  },
  {
    name: "crun",
    globalOptions: (state) => ["--root", state],
    execCgroups: "inherited",
    refusesHybridCgroups: true,
    runsWithoutRoot: false,
    debianPackage: "crun",
  },
];
