/**
 * Makes the namespaces of a sandbox and shows them as files below `ns/` of its directory, where they stay without a process.
 * Only a process namespace needs one: its process 1.
 *
 * Arguments: directory, then `key=value`: `ipc`, `uts`, `pid` (what to make), `hostname`, `network` (namespace that process 1
 * joins), `shm` (bytes), `cgroup` (directory for process 1), `perl`, `init` (the program of process 1).
 */
export const sandboxProgram: string = String.raw`
my $directory = shift @ARGV;
my %setting = map { split /=/, $_, 2 } @ARGV;
chdir $directory or fail("chdir", $directory);
umask 022;
my ($none, $proc) = ("none", "/proc/self/ns");
my ($bind, $nosuid, $nodev, $noexec) = (4_096, 2, 4, 8);
if ($setting{shm}) {
  mkdir "shm", 0755;
  my ($type, $target, $data) = ("tmpfs", "shm", "mode=1777,size=$setting{shm}");
  call("mount", $type, $target, $type, $nosuid | $nodev | $noexec, $data) == 0 or fail("mount", "shm"); }
mkdir "ns", 0700;
if (length($setting{cgroup} // "")) {
  my $path = "";
  for my $part (split m{/}, $setting{cgroup}) { $path .= $part; mkdir $path, 0755 if length $path; $path .= "/"; }
  spew("$setting{cgroup}/cgroup.procs", $$) or fail("join the cgroup", $setting{cgroup}); }

my %flag = (ipc => 0x08000000, uts => 0x04000000, pid => 0x20000000);
my @own = grep { $setting{$_} } qw(ipc uts);
my $flags = 0;
$flags |= $flag{$_} for @own;
call("unshare", $flags) == 0 or fail("unshare") if $flags;
if ($setting{uts} && length($setting{hostname} // "")) {
  spew("/proc/sys/kernel/hostname", $setting{hostname}) or fail("set the host name"); }
sub hold { my ($type, $source) = @_;
  my $target = "ns/$type";
  sysopen(my $file, $target, $n{O_CREAT} | $n{O_WRONLY}, 0600) or fail("open", $target);
  call("mount", $source, $target, $none, $bind, $none) == 0 or fail("mount", $target); }
hold($_, "$proc/$_") for @own;
exit 0 unless $setting{pid};

unlink "init.sock";
socket(my $listener, 1, 1, 0) or fail("socket");
bind($listener, pack("S a*", 1, "init.sock")) or fail("bind");
chmod 0600, "init.sock";
listen($listener, 16) or fail("listen");
pipe(my $ready, my $tell) or fail("pipe");
call("unshare", $flag{pid}) == 0 or fail("unshare");
my $child = fork();
defined $child or fail("fork");
if (!$child) {
  close $ready;
  call("unshare", 0x00020000) == 0 or fail("unshare");
  my $root = "/"; my ($recursive, $private) = (16_384, 262_144);
  call("mount", $none, $root, $none, $recursive | $private, $none) == 0 or fail("mount", "private");
  # Even who may trace process 1 cannot write to its program through /proc/1/exe: it comes from a mount that is read-only.
  my $attributes = pack("Q4", 1, 0, 0, 0); my ($here, $all) = (-100, 0x8000);
  syscall(442, $here, $root, $all, $attributes, length $attributes) == 0 or $! == 38 or fail("mount_setattr");
  if (length($setting{network} // "")) {
    sysopen(my $network, $setting{network}, 0) or fail("open", $setting{network});
    call("setns", fileno $network, 0x40000000) == 0 or fail("setns"); }
  fcntl($listener, 2, 0); fcntl($tell, 2, 0);
  exec { $setting{perl} } "longshore-init", "-e", $setting{init}, "--", join(",", map { "$_=$n{$_}" } keys %n),
    fileno $listener, fileno $tell or fail("exec"); }
close $tell;
my $answer = "";
sysread($ready, $answer, 2);
if ($answer ne "ok") { waitpid($child, 0); exit 1; }
hold("pid", "/proc/$child/ns/pid");
print $child;
`;

/**
 * Process 1 of a sandbox: it adopts what its containers leave behind, and does nothing else. It has no rights and sees no
 * files, so that nothing is won by getting hold of it. Whoever is connected to its socket learns when it ends.
 */
export const initProgram: string = String.raw`
my ($listener_fd, $tell_fd) = @ARGV;
open(my $listener, "+<&=", $listener_fd) or fail("listener");
open(my $tell, ">&=", $tell_fd) or fail("pipe");
fcntl($_, 2, 1) for $listener, $tell;
$0 = "init";
open(my $nowhere, "+<", "/dev/null") or fail("open");
# The kernel reaps for those who ignore their children.
$SIG{CHLD} = "IGNORE"; $SIG{PIPE} = "IGNORE";
my ($type, $here, $data) = ("tmpfs", ".", "size=4k,mode=755");
my ($nosuid, $nodev, $noexec, $read_only) = (2, 4, 8, 1);
call("mount", $type, $here, $type, $nosuid | $nodev | $noexec | $read_only, $data) == 0 or fail("mount");
my $target = "/proc/self/cwd";
# The directory that was mounted over is reached by its path again.
chdir(readlink $target) or fail("chdir");
call("pivot_root", $here, $here) == 0 or fail("pivot_root");
my $detach = 2;
call("umount2", $here, $detach) == 0 or fail("umount");
chdir "/";
my ($drop_bounding, $no_new_privileges) = (24, 38);
for my $capability (0 .. 63) { call("prctl", $drop_bounding, $capability, 0, 0, 0); }
call("prctl", $no_new_privileges, 1, 0, 0, 0);
my $nobody = 65_534;
call("setgroups", 0, 0);
call("setresgid", $nobody, $nobody, $nobody) == 0 or fail("setresgid");
call("setresuid", $nobody, $nobody, $nobody) == 0 or fail("setresuid");
# Whoever reads what its parent prints must not wait for it.
open(STDOUT, ">&", $nowhere); open(STDERR, ">&", $nowhere);
syswrite($tell, "ok"); close $tell;
my %held;
while (1) {
  my $read = "";
  vec($read, $_, 1) = 1 for fileno $listener, keys %held;
  next if select($read, undef, undef, undef) < 0;
  if (vec($read, fileno $listener, 1) && accept(my $peer, $listener)) { $held{fileno $peer} = $peer; }
  for my $fd (keys %held) {
    next unless vec($read, $fd, 1);
    delete $held{$fd} unless sysread($held{$fd}, my $ignored, 64); }
}
`;
