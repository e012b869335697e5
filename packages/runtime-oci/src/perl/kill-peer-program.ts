/**
 * Kills the process that listens at a Unix socket, by what the kernel knows of it, and waits until it is gone. Arguments:
 * directory, name of the socket, `stopped` when one that is not stopped by a signal is left alone. Prints `killed` or nothing.
 */
export const killPeerProgram: string = String.raw`
my ($directory, $name, $only_stopped) = @ARGV;
chdir $directory or fail("chdir", $directory);
my ($unix, $stream, $socket_level, $peer_credentials) = (1, 1, 1, 17);
socket(my $socket, $unix, $stream, 0) or fail("socket");
# Whoever listens no more is gone.
connect($socket, pack("S a*", $unix, $name)) or exit 0;
my $credentials = getsockopt($socket, $socket_level, $peer_credentials) or fail("getsockopt");
my ($pid) = unpack("l", $credentials);
exit 0 if $pid <= 1;
my ($state) = (slurp("/proc/$pid/stat") // "") =~ /.*\) (\S)/s;
exit 0 if $only_stopped && ($state // "") !~ /^[Tt]$/;
kill 9, $pid or exit 0;
1 while sysread($socket, my $rest, 4_096);
print "killed";
exit 0;
`;
