/**
 * Perl functions that end every process of a cgroup and of those below it. With version 1 the processes are frozen first,
 * so that none is born while the others are killed; SIGKILL reaches them as they thaw. Version 2 has
 * `cgroup.kill` since Linux 5.14, and is frozen before.
 */
export const cgroupFunctions: string = String.raw`
my $sigkill = 9;
# Without cgroups: processes that see the container's mounts, named as "mnt:[NUMBER]".
sub mount_members { my ($namespace) = @_;
  opendir(my $processes, "/proc") or return ();
  return grep { /^\d+$/ && $_ != $$ && (readlink("/proc/$_/ns/mnt") // "") eq $namespace } readdir $processes; }
sub stop_members { my ($namespace) = @_;
  my %stopped;
  for (1 .. 100) {
    my @new = grep { !$stopped{$_} } mount_members($namespace);
    last unless @new;
    for my $pid (@new) { $stopped{$pid} = 1; kill "STOP", $pid; } }
  return keys %stopped; }
sub members { my ($directory) = @_;
  return stop_members($directory) if $directory =~ /^mnt:/;
  my @found = grep { $_ > 1 && $_ != $$ } map { $_ + 0 } split /\n/, slurp("$directory/cgroup.procs") // "";
  if (opendir(my $children, $directory)) {
    for my $name (readdir $children) {
      next if $name =~ /^\./ || -l "$directory/$name" || !-d _;
      push @found, members("$directory/$name"); } }
  return @found; }
# Kills what is there, and returns files that can be read when it is gone, at most so many; none when it is empty.
sub kill_members { my ($directory) = @_;
  my $frozen = spew("$directory/freezer.state", "FROZEN");
  my $freeze = !$frozen && !-e "$directory/cgroup.kill" && spew("$directory/cgroup.freeze", "1");
  my @pids = members($directory);
  my @files;
  for my $pid (@pids) {
    last if @files >= 256;
    my $fd = syscall(434, $pid, 0);
    next if $fd < 0;
    open(my $file, "<&=", $fd) or next;
    push @files, $file; }
  if (!@pids || !spew("$directory/cgroup.kill", "1")) { kill $sigkill, $_ for @pids; }
  spew("$directory/freezer.state", "THAWED") if $frozen;
  spew("$directory/cgroup.freeze", "0") if $freeze;
  return @files; }
`;
