/**
 * Runs a program where version 2 of cgroups is not mounted beside version 1, for OCI runtimes that stop at such machines.
 * Arguments: the program and its arguments.
 */
export const launcherProgram: string = String.raw`
my ($none, $root, $unified) = ("none", "/sys/fs/cgroup", "/sys/fs/cgroup/unified");
my ($recursive, $private, $detach) = (16_384, 262_144, 2);
call("unshare", 0x00020000) == 0 or fail("unshare");
call("mount", $none, $root, $none, $recursive | $private, $none);
call("umount2", $unified, $detach);
exec { $ARGV[0] } @ARGV or fail("exec", $ARGV[0]);
`;
