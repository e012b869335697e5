/** How the OCI runtimes differ in what the driver needs of them. */
export interface RuntimeKind {
  readonly name: "runc" | "crun" | "runsc";
  /** Options before the command, given the directory for its state */
  readonly globalOptions: (stateDirectory: string) => readonly string[];
  /**
   * How an executed process gets a cgroup of its own with version 1 of cgroups: by an option, or in the hierarchy of version 2
   * beside it, which the runtime leaves alone; `"none"` where executed processes are not the host's
   */
  readonly execCgroups: "option" | "inherited" | "none";
  /** Whether it stops at machines that mount version 2 of cgroups beside version 1 */
  readonly refusesHybridCgroups: boolean;
  /** Whether the driver can use it as another user than root */
  readonly runsWithoutRoot: boolean;
  /**
   * Whether each container has a kernel of its own, a process that nothing of the host's can be entered through: what its
   * containers share, limit and hide is that kernel's to do, and only what it does is offered
   */
  readonly hasOwnKernel: boolean;
  readonly debianPackage: string;
}

/**
 * What a container writes is at once in its layer on the host, where it is counted and committed, and outlives the kernel that
 * is killed; the capability of raw sockets is there when it is given.
 *
 * @see https://gvisor.dev/docs/user_guide/filesystem/
 */
const gvisorOptions: readonly string[] = ["--overlay2=none", "--file-access=shared", "--net-raw"];

export const runtimeKinds: readonly RuntimeKind[] = [
  {
    name: "runc",
    globalOptions: (state) => ["--root", state],
    execCgroups: "option",
    refusesHybridCgroups: false,
    runsWithoutRoot: true,
    hasOwnKernel: false,
    debianPackage: "runc",
  },
  {
    name: "crun",
    globalOptions: (state) => ["--root", state],
    execCgroups: "inherited",
    refusesHybridCgroups: true,
    runsWithoutRoot: false,
    hasOwnKernel: false,
    debianPackage: "crun",
  },
  {
    name: "runsc",
    globalOptions: (state) => ["--root", state, ...gvisorOptions],
    execCgroups: "none",
    refusesHybridCgroups: false,
    runsWithoutRoot: false,
    hasOwnKernel: true,
    debianPackage: "runsc",
  },
];
