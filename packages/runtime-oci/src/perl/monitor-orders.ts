/**
 * Part of the monitor, for OCI runtimes whose containers have a kernel of their own: its processes are not the host's, so they
 * are signalled by orders to the OCI runtime. Each order is given by a process of its own, for it takes some time.
 */
export const monitorOrders: string = String.raw`
my %order;
sub order { my ($done, $steps) = @_;
  my $pid = fork();
  return $done->() unless defined $pid;
  if ($pid) { $order{$pid} = $done; return; }
  $SIG{$_} = "DEFAULT" for qw(PIPE HUP INT TERM);
  hear_signals();
  # Whoever is connected here must see it when the monitor ends the connection.
  opendir(my $open, "/proc/self/fd") or leave();
  my @others = grep { /^\d+$/ && $_ > 2 } readdir $open;
  closedir $open;
  call("close", $_ + 0) for @others;
  open(STDIN, "<", "/dev/null"); open(STDOUT, ">", "/dev/null");
  alarm 60;
  $steps->();
  leave(); }
sub tell_runtime { return system({ $runtime[0] } @runtime, @_) == 0; }

sub signal_inside { my ($p, $number, $done) = @_;
  return $done->() if !$p->{pid} || $p->{ended} || $p != $main && !$p->{inside};
  order($done, sub { tell_runtime("kill", $p == $main ? () : ("--pid", $p->{inside}), $setting{id}, $number); }); }
# Numbers of a process and of all that descend from it, as far as their parents are there.
sub tree_inside { my ($root) = @_;
  my (%children, %seen);
  open(my $list, "-|", @runtime, "ps", $setting{id}) or return ();
  while (my $line = <$list>) {
    my (undef, $pid, $parent) = split " ", $line;
    push @{$children{$parent}}, $pid if ($parent // "") =~ /^\d+$/ && $pid =~ /^\d+$/ && $pid > 1; }
  close $list;
  my @tree = ($root);
  for (my $i = 0; $i < @tree; $i++) { push @tree, grep { !$seen{$_}++ } @{$children{$tree[$i]} // []}; }
  return @tree; }
# A command with all that it started. They are stopped first, so that none is born while others are killed.
sub kill_inside { my ($p, $done) = @_;
  # It is not known yet by what number: started() goes on.
  if ($p->{starter}) { push @{$p->{doomed}}, $done; return; }
  return $done->() if $p->{ended} || !$p->{inside} || $main->{ended};
  order($done, sub {
    my %stopped;
    my $tell = sub { my ($number, @pids) = @_; tell_runtime("kill", "--pid", $_, $setting{id}, $number) for @pids; };
    for (1 .. 100) {
      my @new = grep { !$stopped{$_} } tree_inside($p->{inside});
      last unless @new;
      $tell->(19, @new);
      @stopped{@new} = (1) x @new; }
    $tell->(9, keys %stopped); }); }
sub settle_doomed { my ($p) = @_;
  my $doomed = delete $p->{doomed} or return;
  kill_inside($p, sub { $_->() for @$doomed; }); }
# Its kernel was killed under it, and who waited for it can only say that there is no answer.
sub died_with_kernel { my ($p, $status) = @_;
  return $setting{ownKernel} && $p != $main && $status >> 8 == 128 && (slurp("/proc/$main->{pid}/stat") // "") !~ /\) [^ZX]/; }
`;
