import { cgroupFunctions } from "./cgroup-functions.ts";
import { monitorLog } from "./monitor-log.ts";
import { monitorOrders } from "./monitor-orders.ts";
import { monitorProcesses } from "./monitor-processes.ts";
import { monitorStreams } from "./monitor-streams.ts";
import { mountFunctions } from "./mount-functions.ts";

/**
 * The monitor of a container: it starts the OCI runtime, holds the process's output and terminal, writes the log, serves
 * those who attach or execute, waits for the process, and writes down how it ended. It needs nobody: the program that
 * started it may come and go.
 *
 * Arguments: directory, `key=value` settings, `--`, the OCI runtime with its global options. The connection that it is asked
 * for by gives it orders. `sessions` says how many others there are to be before the process is.
 */
export const monitorProgram: string = String.raw`
my ($orders) = @_;
my $directory = shift @ARGV;
chdir $directory or fail("chdir");
open(STDERR, ">", "monitor.err") or fail("open", "monitor.err");
my %setting;
while (@ARGV) { my $word = shift @ARGV; last if $word eq "--"; my ($key, $value) = split /=/, $word, 2; $setting{$key} = $value; }
my @runtime = @ARGV;
$0 = "longshore-monitor $setting{id}";
umask 077;
$ENV{PATH} = $setting{path};
# Its end must come from the container's.
$SIG{$_} = "IGNORE" for qw(PIPE HUP INT TERM);
my $set_child_subreaper = 36;
call("prctl", $set_child_subreaper, 1, 0, 0, 0) == 0 or fail("become a subreaper");
my ($quit, $finish_by, $main);
my @watches;
sub now { my $time = "\0" x 16; call("clock_gettime", 0, $time); return unpack("q q", $time); }
${cgroupFunctions}${mountFunctions}${monitorLog}${monitorStreams}${monitorOrders}${monitorProcesses}

# A handler of Perl's runs between its own steps: for a signal that comes right before select(2) it would wait for the next one.
my ($child_ended, $signal_bytes) = (pack("Q", 1 << 16), 8);
my ($block_signals, $unblock_signals, $old_signals, $no_descriptor, $signal_flags) = (0, 1, 0, -1, 0x80800);
call("rt_sigprocmask", $block_signals, $child_ended, $old_signals, $signal_bytes) == 0 or fail("block a signal");
my $signals = call("signalfd4", $no_descriptor, $child_ended, $signal_bytes, $signal_flags);
$signals >= 0 or fail("signalfd");
open(my $woken, "<&=", $signals) or fail("signalfd");
sub hear_signals { call("rt_sigprocmask", $unblock_signals, $child_ended, $old_signals, $signal_bytes); }

unlink "monitor.sock";
socket(my $listener, 1, 1, 0) or fail("socket");
bind($listener, pack("S a*", 1, "monitor.sock")) or fail("bind");
listen($listener, 64) or fail("listen");
unblock($listener);
if (length($setting{log} // "")) { open_log($setting{log}) or fail("open the log"); }
enter_users($setting{users}) if $setting{users};
mount_overlay() if $setting{overlay};

$main = { name => "container", clients => {}, queue => [], out => {}, logged => 1,
  tty => $setting{tty}, input_once => $setting{inputOnce}, tree => $setting{tree} };
{ my $c = client($orders); $c->{control} = 1; frame($c, "m", $setting{overlay} ? accounts() : ""); }

until ($quit) {
  my ($read, $write) = ("", "");
  vec($read, fileno $woken, 1) = 1;
  vec($read, fileno $listener, 1) = 1 if keys %client < $max_clients;
  for my $c (values %client) {
    vec($read, fileno $c->{handle}, 1) = 1;
    vec($write, fileno $c->{handle}, 1) = 1 if length $c->{out}; }
  my @processes = values %process;
  for my $p (@processes) {
    vec($read, fileno $p->{console}, 1) = 1 if $p->{console} && !$p->{accepted};
    next unless $p->{running};
    for my $stream (keys %{$p->{out}}) { vec($read, fileno $p->{out}{$stream}, 1) = 1 if room($p, $stream) > 0; }
    vec($write, fileno $p->{input}, 1) = 1 if $p->{input} && @{$p->{queue}}; }
  for my $watch (@watches) { vec($read, fileno $_, 1) = 1 for values %{$watch->{files}}; }
  my $found = select($read, $write, undef, next_deadline());
  if ($found < 0) { next if $! == $n{EINTR}; fail("select"); }
  if (vec($read, fileno $woken, 1)) { 1 while sysread($woken, my $rest, 4_096); }
  for my $c (values %client) {
    next if $c->{gone};
    my $fd = fileno $c->{handle};
    flush_client($c) if vec($write, $fd, 1);
    read_client($c) if !$c->{gone} && vec($read, $fd, 1); }
  for my $p (@processes) {
    # Before the process is there, so that it finds its terminal with the right size.
    receive_terminal($p) if $p->{console} && !$p->{accepted} && vec($read, fileno $p->{console}, 1);
    next unless $p->{running};
    for my $stream (keys %{$p->{out}}) {
      read_stream($p, $stream) if $p->{out}{$stream} && vec($read, fileno $p->{out}{$stream}, 1); }
    write_input($p) if $p->{input} && vec($write, fileno $p->{input}, 1); }
  if (vec($read, fileno $listener, 1) && accept(my $handle, $listener)) { client($handle); }
  reap();
  settle_watches($read);
  settle_processes();
}
unmount_root() if $setting{overlay} && !defined $finish_by;
unlink "monitor.sock";
leave();
`;
