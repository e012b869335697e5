/**
 * Connects to a port on the loopback interface of a network namespace, and carries bytes between that and its own input and
 * output. Says `ok` on file 3 when connected. Arguments: path of the namespace, or nothing for its own, port, and path of the
 * user namespace to join first or nothing.
 */
export const connectProgram: string = String.raw`
my ($namespace, $port, $users) = @ARGV;
$SIG{PIPE} = "IGNORE";
my $network;
if (length $namespace) { sysopen($network, $namespace, 0) or fail("open", $namespace); }
if (length $users) {
  sysopen(my $file, $users, 0) or fail("open", $users);
  call("setns", fileno $file, 0x10000000) == 0 or fail("setns"); }
if ($network) {
  call("setns", fileno $network, 0x40000000) == 0 or fail("setns"); }
open(my $tell, ">&=", 3) or fail("open");
my $socket;
my ($inet, $inet6) = (2, 10);
my @addresses = ([$inet, pack("S n a4 x8", $inet, $port, "\x7f\0\0\1")], [$inet6, pack("S n N a16 N", $inet6, $port, 0, "\0" x 15 . "\1", 0)]);
my $refused;
for my $address (@addresses) {
  my ($family, $name) = @$address;
  socket($socket, $family, 1, 0) or next;
  if (connect($socket, $name)) { $refused = 0; last; }
  # What the first one says tells more: the other may not be there at all.
  $refused ||= $! + 0; }
if ($refused) { $! = $refused; fail("connect"); }
syswrite($tell, "ok"); close $tell;
unblock($_) for $socket, \*STDIN, \*STDOUT;
my @flows = ({ from => \*STDIN, to => $socket, held => "" }, { from => $socket, to => \*STDOUT, held => "" });
while (grep { !$_->{done} } @flows) {
  my ($read, $write) = ("", "");
  for my $flow (@flows) {
    next if $flow->{done};
    if (length $flow->{held}) { vec($write, fileno $flow->{to}, 1) = 1; }
    else { vec($read, fileno $flow->{from}, 1) = 1; } }
  next if select($read, $write, undef, undef) < 0;
  for my $flow (@flows) {
    next if $flow->{done};
    if (!length $flow->{held} && vec($read, fileno $flow->{from}, 1)) {
      my $got = sysread($flow->{from}, $flow->{held}, 65_536);
      next if !defined $got && later();
      if (!$got) { finish($flow); next; } }
    if (length $flow->{held}) {
      my $written = syswrite($flow->{to}, $flow->{held});
      if (!defined $written) { next if later(); exit 0; }
      substr($flow->{held}, 0, $written, ""); } } }
sub finish { my ($flow) = @_;
  $flow->{done} = 1;
  if ($flow->{to} == $socket) { shutdown($socket, 1); } else { close $flow->{to}; exit 0 if $flows[0]{done}; } }
`;
