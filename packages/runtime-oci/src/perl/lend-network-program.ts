/**
 * Notes the addresses and routes of a network namespace in files, or gives it those that were noted; what is there already is no
 * error. Arguments: path of the namespace, directory for the files, `save` or `restore`.
 *
 * @see https://man7.org/linux/man-pages/man8/ip-address.8.html
 */
export const lendNetworkProgram: string = String.raw`
my ($namespace, $directory, $what) = @ARGV;
$ENV{PATH} = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
sysopen(my $network, $namespace, 0) or fail("open", $namespace);
call("setns", fileno $network, 0x40000000) == 0 or fail("setns");
# Routes lead by way of addresses, so those come first.
for my $table ("address", "route", "-6 route") {
  my $path = "$directory/network.$table";
  my @command = ("ip", split(/ /, $table), $what, $what eq "save" && $table =~ /route/ ? ("table", "main") : ());
  my $child = fork();
  defined $child or fail("fork");
  if (!$child) {
    if ($what eq "save") { open(STDOUT, ">", $path) or fail("open", $path); }
    else { open(STDIN, "<", $path) or fail("open", $path); }
    exec { $command[0] } @command or fail("exec", "ip"); }
  waitpid($child, 0);
  if ($?) { $! = $n{EINVAL}; fail("@command", "ended with " . ($? >> 8)); } }
if ($what eq "save") { open(my $done, ">", "$directory/network.done") or fail("open", "network.done"); }
`;
