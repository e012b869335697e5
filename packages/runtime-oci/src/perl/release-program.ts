import { cgroupFunctions } from "./cgroup-functions.ts";

/**
 * Ends what runs in cgroups, waits until it is gone, unmounts, and removes what was below. Arguments: seconds to wait at most,
 * then `kill=DIRECTORY`, `unmount=PATH` and `remove=PATH`, done in their order.
 */
export const releaseProgram: string = String.raw`${cgroupFunctions}
my $until = time() + shift @ARGV;
my ($detach, $nofollow) = (2, 8);
for my $word (@ARGV) {
  my ($what, $path) = split /=/, $word, 2;
  if ($what eq "remove") { remove($path); next; }
  if ($what eq "unmount") {
    call("umount2", $path, $detach | $nofollow) == 0 or $! == $n{EINVAL} or $! == $n{ENOENT} or fail("unmount", $path);
    next; }
  while (my @files = kill_members($path)) {
    for my $file (@files) {
      my $read = ""; vec($read, fileno $file, 1) = 1;
      my $left = $until - time();
      if ($left <= 0 || !select($read, undef, undef, $left)) { $! = $n{EBUSY}; fail("end the processes of", $path); } } }
}
sub remove { my ($path) = @_;
  lstat $path or return;
  if (-d _) {
    opendir(my $open, $path) or fail("remove", $path);
    my @names = grep { $_ ne "." && $_ ne ".." } readdir $open;
    closedir $open;
    remove("$path/$_") for @names;
    rmdir $path or $! == $n{ENOENT} or fail("remove", $path); }
  else { unlink $path or $! == $n{ENOENT} or fail("remove", $path); } }
`;
