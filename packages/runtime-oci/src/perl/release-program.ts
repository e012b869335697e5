import { cgroupFunctions } from "./cgroup-functions.ts";

/**
 * Ends what runs in cgroups, waits until it is gone, and unmounts. Arguments: seconds to wait at most, then `kill=DIRECTORY`
 * and `unmount=PATH`, done in their order.
 */
export const releaseProgram: string = String.raw`${cgroupFunctions}
my $until = time() + shift @ARGV;
my ($detach, $nofollow) = (2, 8);
for my $word (@ARGV) {
  my ($what, $path) = split /=/, $word, 2;
  if ($what eq "unmount") {
    call("umount2", $path, $detach | $nofollow) == 0 or $! == $n{EINVAL} or $! == $n{ENOENT} or fail("unmount", $path);
    next; }
  while (my @files = kill_members($path)) {
    for my $file (@files) {
      my $read = ""; vec($read, fileno $file, 1) = 1;
      my $left = $until - time();
      if ($left <= 0 || !select($read, undef, undef, $left)) { $! = $n{EBUSY}; fail("end the processes of", $path); } } }
}
`;
