/**
 * How a program at a container's files begins: it enters the container's mounts before it looks at any path, and keeps only the
 * container's user and capabilities. No module may be loaded from then on, since it would come from the container.
 *
 * Arguments: number of the open user namespace or nothing, number of the open mount namespace, `uid`, `gid`, groups parted by
 * commas, two halves of the capabilities, what to do, path, and what that needs.
 */
export const enterContainer: string = String.raw`
@INC = ();
my ($users, $mounts, $uid, $gid, $groups, $low, $high, $what, $path, @more) = @ARGV;
if (length $users) {
  call("setns", $users + 0, 0x10000000) == 0 or fail("setns", "users");
  call("setresgid", 0, 0, 0) == 0 or fail("setresgid");
  call("setresuid", 0, 0, 0) == 0 or fail("setresuid"); }
call("setns", $mounts + 0, 0x00020000) == 0 or fail("setns", "mounts");
chdir "/" or fail("chdir");
my @groups = split /,/, $groups;
my $list = pack("L*", @groups);
# Who may not drop groups has none to add either.
call("setgroups", scalar @groups, $list) == 0 or !@groups or fail("setgroups");
$uid += 0; $gid += 0;
call("setresgid", $gid, $gid, $gid) == 0 or fail("setresgid");
call("setresuid", $uid, $uid, $uid) == 0 or fail("setresuid");
my ($version, $self) = (0x20080522, 0);
my $header = pack("L2", $version, $self);
my @set = $uid == 0 ? ($low + 0, $high + 0) : (0, 0);
my $sets = pack("L6", $set[0], $set[0], 0, $set[1], $set[1], 0);
call("capset", $header, $sets) == 0 or fail("capset");
# Nobody else would end it when the monitor is killed.
my ($set_parent_death_signal, $kill) = (1, 9);
call("prctl", $set_parent_death_signal, $kill, 0, 0, 0) == 0 or fail("prctl");
umask 022;
# All of it, or it fails, with the words that say at what.
sub write_all { my ($file, $data, @words) = @_;
  my $done = 0;
  while ($done < length $data) {
    my $written = syswrite($file, $data, length($data) - $done, $done);
    if (!defined $written) { next if $! == $n{EINTR}; fail(@words); }
    $done += $written; } }
`;
