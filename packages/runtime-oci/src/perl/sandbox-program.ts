/**
 * Makes the namespaces of a sandbox and shows them as files below `ns/` of its directory, where they stay without a process.
 * Only a process namespace needs one: its process 1. With a user namespace a process of its own makes them, because who has
 * joined one may mount nothing on the host any more.
 *
 * Arguments: directory, then `key=value`: `ipc`, `uts`, `pid`, `loopback` (what to make; the last is a network with nothing
 * else), `hosts`, `resolv.conf`, `hostname` (what these files hold, in hex), `name` (of the host), `network` (namespace that process 1 joins), `uids` and `gids` (lines of a user namespace's maps, in hex; it
 * is that of `network`, or else a new one), `shm` (bytes), `cgroup` (directory for process 1), `rootless` (who may mount nothing on the host: the files are links to the namespaces of process 1, there is
 * always one).
 */
export const sandboxProgram: string = String.raw`
my $directory = shift @ARGV;
my %setting = map { split /=/, $_, 2 } @ARGV;
chdir $directory or fail("chdir", $directory);
umask 022;
my $none = "none";
my ($bind, $nosuid, $nodev, $noexec) = (4_096, 2, 4, 8);
# What is of no use after a restart of the machine need not be on a disk; and with one unmount all that is mounted below goes,
# each of which takes as long as the kernel waits for all its processors.
sub mount_memory { my ($target, $data) = @_;
  my $type = "tmpfs";
  call("mount", $type, $target, $type, $nosuid | $nodev | $noexec, $data) == 0 or fail("mount", $target); }
if (!$setting{rootless}) {
  mount_memory($directory, "mode=711,size=64m");
  chdir $directory or fail("chdir", $directory); }
my %flag = (ipc => 0x08000000, uts => 0x04000000, pid => 0x20000000, user => 0x10000000, net => 0x40000000, mount => 0x00020000);
my %map = map { $_ => pack("H*", $setting{$_} // "") } qw(uids gids);
my $has_users = length $map{uids};
sub owner { my ($map) = @_; return (split / /, $map)[1] // 0; }
if ($setting{shm} && $setting{rootless}) { mkdir "shm"; chmod 01777, "shm"; }
elsif ($setting{shm}) {
  mkdir "shm", 0755;
  mount_memory("shm", "mode=1777,size=$setting{shm},uid=" . owner($map{uids}) . ",gid=" . owner($map{gids})); }
mkdir "etc", 0755;
# Containers may write to them, but not fill what the other files here need.
mount_memory("etc", "mode=755,size=4m") unless $setting{rootless};
for my $name (qw(hosts resolv.conf hostname)) {
  my $text = pack("H*", $setting{$name});
  sysopen(my $file, "etc/$name", $n{O_CREAT} | $n{O_EXCL} | $n{O_WRONLY}, 0644) or fail("open", $name);
  defined syswrite($file, $text) or fail("write", $name);
  # The root of a container may write to them, as it may without a user namespace.
  if ($has_users && !$setting{rootless}) { chown owner($map{uids}), owner($map{gids}), $file or fail("chown", $name); } }
mkdir "ns", 0700;
my $listener;
if ($setting{pid}) {
  unlink "init.sock";
  socket($listener, 1, 1, 0) or fail("socket");
  bind($listener, pack("S a*", 1, "init.sock")) or fail("bind");
  chmod 0600, "init.sock";
  listen($listener, 16) or fail("listen"); }
my $network;
if (length($setting{network} // "")) { sysopen($network, $setting{network}, 0) or fail("open", $setting{network}); }

my ($ours, $makers);
sub hear { my ($from) = @_; my $word = ""; sysread($from, $word, 64); return $word; }
my @held = grep { $setting{$_} } qw(ipc uts);
push @held, "net" if $setting{loopback};
if ($has_users) { make_apart(); }
else {
  join_cgroup();
  my $init = make();
  hold($_, "/proc/self/ns/$_") for @held;
  hold("pid", "/proc/$init/ns/pid") if length $init; }
return;

sub make_apart {
  socketpair($ours, $makers, 1, 1, 0) or fail("socketpair");
  my $maker = fork();
  defined $maker or fail("fork");
  if (!$maker) {
    close $ours;
    join_cgroup();
    join_users();
    my $init = make();
    syswrite($makers, "made $init");
    hear($makers);
    leave(); }
  close $makers; close $listener if $listener;
  my $word = hear($ours);
  if ($word eq "users") {
    # Those of a network were written by who made it.
    # Who may not choose groups for others must not be able to drop their own.
    if ($setting{rootless}) { spew("/proc/$maker/setgroups", "deny") or fail("map the users", "setgroups"); }
    for my $what (qw(uid gid)) {
      my $path = "/proc/$maker/${"$"}{what}_map";
      spew($path, $map{"${"$"}{what}s"}) or fail("map the users", $path) unless $network; }
    for my $what (qw(uid gid)) {
      my $found = slurp("/proc/$maker/${"$"}{what}_map") // "";
      next if join(" ", split " ", $found) eq join(" ", split " ", $map{"${"$"}{what}s"});
      $! = $n{EINVAL}; fail("join the user namespace", "it has another map of ${"$"}{what}s"); }
    syswrite($ours, "mapped");
    $word = hear($ours); }
  exit 1 unless $word =~ /^made (\d*)$/;
  my $init = $1;
  if ($setting{rootless}) {
    for my $type (qw(user ipc uts net pid)) { symlink("/proc/$init/ns/$type", "ns/$type") or fail("symlink", $type); } }
  else {
    hold($_, "/proc/$maker/ns/$_") for "user", @held;
    hold("pid", "/proc/$init/ns/pid") if length $init; }
  close $ours;
  waitpid($maker, 0); }

sub hold { my ($type, $source) = @_;
  my $target = "ns/$type";
  sysopen(my $file, $target, $n{O_CREAT} | $n{O_WRONLY}, 0600) or fail("open", $target);
  call("mount", $source, $target, $none, $bind, $none) == 0 or fail("mount", $target); }

# Process 1 inherits it.
sub join_cgroup {
  return unless length($setting{cgroup} // "");
  my $path = "";
  for my $part (split m{/}, $setting{cgroup}) { $path .= $part; mkdir $path, 0755 if length $path; $path .= "/"; }
  spew("$setting{cgroup}/cgroup.procs", $$) or fail("join the cgroup", $setting{cgroup}); }
sub make {
  my $flags = 0;
  $flags |= $flag{$_} for @held;
  call("unshare", $flags) == 0 or fail("unshare") if $flags;
  if ($setting{loopback}) {
    socket(my $socket, 2, 2, 0) or fail("socket");
    my ($set_flags, $up_running) = (0x8914, 0x41);
    my $request = pack("a16 s x22", "lo", $up_running);
    ioctl($socket, $set_flags, $request) or fail("start the loopback interface"); }
  if ($setting{uts} && length($setting{name} // "")) {
    my $name = $setting{name};
    call("sethostname", $name, length $name) == 0 or fail("set the host name"); }
  return $setting{pid} ? make_init() : ""; }
sub join_users {
  if ($network) {
    my $get_user_namespace = 0xb701;
    my $fd = ioctl($network, $get_user_namespace, 0) or fail("find the network's user namespace");
    call("setns", $fd + 0, $flag{user}) == 0 or fail("join the user namespace", "the network belongs to another one"); }
  else { call("unshare", $flag{user}) == 0 or fail("unshare", "users"); }
  syswrite($makers, "users");
  exit 1 unless hear($makers) eq "mapped";
  call("setgroups", 0, 0) == 0 or $setting{rootless} or fail("setgroups");
  call("setresgid", 0, 0, 0) == 0 or fail("setresgid");
  call("setresuid", 0, 0, 0) == 0 or fail("setresuid"); }
sub make_init {
  pipe(my $ready, my $tell) or fail("pipe");
  call("unshare", $flag{pid}) == 0 or fail("unshare");
  my $child = fork();
  defined $child or fail("fork");
  if (!$child) {
    close $ready; close $makers if $makers;
    # A group of its own: a terminal's signals are not for it.
    setpgrp(0, 0);
    call("unshare", $flag{mount}) == 0 or fail("unshare");
    my $root = "/"; my ($recursive, $private) = (16_384, 262_144);
    call("mount", $none, $root, $none, $recursive | $private, $none) == 0 or fail("mount", "private");
    if ($network) { call("setns", fileno $network, $flag{net}) == 0 or fail("setns"); }
    my $nobody = (split / /, $map{gids})[2] // 65_535;
    my $other = (split / /, $map{uids})[2] // 65_535;
    $nobody = $other if $other < $nobody;
    $nobody = 65_535 if $nobody > 65_535;
    init::run($listener, $tell, $nobody - 1); }
  close $tell;
  my $answer = "";
  sysread($ready, $answer, 2);
  if ($answer ne "ok") { waitpid($child, 0); exit 1; }
  return $child; }
`;

/**
 * Process 1 of a sandbox: it adopts what its containers leave behind, and does nothing else. It has no rights and sees no
 * files, so that nothing is won by getting hold of it. Whoever is connected to its socket learns when it ends.
 *
 * Arguments: its listening socket, a pipe to say `ok` on, and the id of its user and group.
 */
export const initProgram: string = String.raw`
my ($listener, $tell, $nobody) = @_;
$0 = "init";
# Nothing else that is open here is for it.
opendir(my $open, "/proc/self/fd") or fail("open");
my %kept = map { $_ => 1 } 0 .. 2, fileno $listener, fileno $tell;
my @others = grep { /^\d+$/ && !$kept{$_} } readdir $open;
closedir $open;
call("close", $_ + 0) for @others;
open(my $nowhere, "+<", "/dev/null") or fail("open");
# The kernel reaps for those who ignore their children.
$SIG{CHLD} = "IGNORE"; $SIG{PIPE} = "IGNORE";
# A directory that is there for every user, and of no use any more.
my ($type, $here, $target, $data) = ("tmpfs", ".", "/proc", "size=4k,mode=755");
my ($nosuid, $nodev, $noexec, $read_only) = (2, 4, 8, 1);
call("mount", $type, $target, $type, $nosuid | $nodev | $noexec | $read_only, $data) == 0 or fail("mount");
chdir $target or fail("chdir");
call("pivot_root", $here, $here) == 0 or fail("pivot_root");
my $detach = 2;
call("umount2", $here, $detach) == 0 or fail("umount");
chdir "/";
my ($drop_bounding, $no_new_privileges) = (24, 38);
for my $capability (0 .. 63) { call("prctl", $drop_bounding, $capability, 0, 0, 0); }
call("prctl", $no_new_privileges, 1, 0, 0, 0);
$nobody += 0;
call("setgroups", 0, 0);
call("setresgid", $nobody, $nobody, $nobody) == 0 or fail("setresgid");
call("setresuid", $nobody, $nobody, $nobody) == 0 or fail("setresuid");
# Whoever reads what its parent prints must not wait for it.
open(STDIN, "<&", $nowhere); open(STDOUT, ">&", $nowhere); open(STDERR, ">&", $nowhere);
syswrite($tell, "ok"); close $tell;
my %held;
while (1) {
  my $read = "";
  vec($read, $_, 1) = 1 for fileno $listener, keys %held;
  next if select($read, undef, undef, undef) < 0;
  if (vec($read, fileno $listener, 1) && accept(my $peer, $listener)) { $held{fileno $peer} = $peer; }
  for my $fd (keys %held) {
    next unless vec($read, $fd, 1);
    my $got = sysread($held{$fd}, my $word, 64);
    # All others of its namespace end with it.
    leave() if $got && $word eq "end";
    delete $held{$fd} unless $got; }
}
`;
