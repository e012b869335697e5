import { monitorProgram } from "./monitor-program.ts";
import { releaseProgram } from "./release-program.ts";
import { runtimeCopy } from "./runtime-copy.ts";
import { initProgram, sandboxProgram } from "./sandbox-program.ts";

/** Programs that the helper knows by name. */
export type HelperProgram = "monitor" | "release" | "sandbox";

const programs: Readonly<Record<HelperProgram | "init", string>> = {
  init: initProgram,
  monitor: monitorProgram,
  release: releaseProgram,
  sandbox: sandboxProgram,
};

/**
 * Starts the other programs: it has them in memory already, and makes a process for each by forking, which takes a tenth of
 * the time of a Perl of its own, and of the memory. A process that it made needs it no more.
 *
 * Whoever connects to its socket gets a process, which says `s` first, and reads the request: four bytes of length, then the
 * program and its arguments, parted by NUL. The monitor takes the connection for its orders. All others print their result to
 * it, or what failed as they do alone; `ok` at the end tells the one from the other.
 *
 * Arguments: path of the socket, whose directory is for its user alone, and path of the OCI runtime. File 3 is a connection to
 * who started it: it says `ready` there, and ends when that is closed.
 */
export const helperProgram: string = String.raw`
my ($path, $runtime) = @ARGV;
$0 = "longshore-helper";
umask 077;
chdir "/";
${runtimeCopy}
BEGIN { no strict "refs";
  for my $package (qw(${Object.keys(programs).join(" ")})) {
    *{"${"$"}{package}::$_"} = \&{"main::$_"} for qw(fail leave call later unblock slurp spew runtime_copy); } }
${Object.entries(programs)
  .map(([name, text]) => `{ package ${name}; sub run { ${text} } }\n`)
  .join("")}
open(my $starter, "+<&=", 3) or fail("open");
fcntl($starter, 2, 1);
socket(my $listener, 1, 1, 0) or fail("socket");
bind($listener, pack("S a*", 1, $path)) or fail("bind", $path);
listen($listener, 4_096) or fail("listen");
open(STDIN, "<", "/dev/null");
$SIG{$_} = "IGNORE" for qw(PIPE CHLD HUP INT TERM);
syswrite($starter, "ready");
copy_runtime($runtime);
while (1) {
  my $read = "";
  vec($read, fileno $_, 1) = 1 for $listener, $starter;
  next if select($read, undef, undef, undef) < 0;
  last if vec($read, fileno $starter, 1);
  accept(my $peer, $listener) or next;
  my $child = fork();
  if (!defined $child) { syswrite($peer, "f" . ($! + 0) . "\0fork\0"); next; }
  next if $child;
  close $listener; close $starter;
  serve($peer);
  leave(); }
unlink $path;
exit 0;

sub serve { my ($peer) = @_;
  $SIG{$_} = "DEFAULT" for qw(PIPE CHLD HUP INT TERM);
  # A terminal's signals are not for it.
  call("setsid");
  syswrite($peer, "s");
  my ($head, $body) = (take($peer, 4), "");
  return unless length $head;
  $body = take($peer, unpack("N", $head));
  (my $name, @ARGV) = split /\0/, $body, -1;
  return monitor::run($peer) if $name eq "monitor";
  open(STDOUT, ">&", $peer); open(STDERR, ">&", $peer);
  $| = 1;
  if ($name eq "sandbox") { sandbox::run(); } elsif ($name eq "release") { release::run(); } else { return; }
  print "ok"; }
# All of it, or nothing when who asks went away.
sub take { my ($peer, $length) = @_;
  my $text = "";
  while (length $text < $length) {
    my $got = sysread($peer, $text, $length - length $text, length $text);
    next if !defined $got && later();
    return "" if !$got; }
  return $text; }
`;

/**
 * Runs a Perl whose executable lies on a mount that is read-only and that nobody else sees. So even who may trace process 1
 * of a sandbox, which is one of its children, cannot write to the host's Perl through `/proc/1/exe`. Arguments: path of Perl,
 * and its arguments.
 */
export const starterProgram: string = String.raw`
my $perl = $ARGV[0];
my ($here, $clone, $close_on_exec, $empty_path, $nothing) = (-100, 1, 0x80000, 0x1000, "");
my $mount = syscall(428, $here, $perl, $clone | $close_on_exec);
my $read_only = pack("Q4", 1, 0, 0, 0);
# Kernels before 5.12 cannot; who is not root may not, nor write to it.
if ($mount >= 0 && syscall(442, $mount, $nothing, $empty_path, $read_only, length $read_only) == 0) {
  my @words = map { "$_\0" } @ARGV;
  my @variables = ("LC_ALL=C\0");
  my $argv = pack("P" x @words . "x8", @words);
  my $envp = pack("P" x @variables . "x8", @variables);
  call("execveat", $mount, $nothing, $argv, $envp, $empty_path);
  fail("exec", $perl); }
exec { $perl } @ARGV or fail("exec", $perl);
`;
