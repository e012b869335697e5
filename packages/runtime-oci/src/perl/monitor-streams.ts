/** Part of the monitor: its clients, what they are sent, and how much they can take. */
export const monitorStreams: string = String.raw`
my (%client, %process);
my $max_frame = 262_144; my $window = 262_144; my $max_clients = 128;

sub client { my ($handle) = @_;
  unblock($handle);
  my $c = { handle => $handle, in => "", out => "", wants => {}, window => { 1 => $window, 2 => $window } };
  return $client{fileno $handle} = $c; }
sub frame { my ($c, $type, $body) = @_;
  return if !$c || $c->{gone} || $c->{parted};
  $c->{out} .= pack("a N", $type, length $body) . $body;
  flush_client($c); }
# Says that nothing more comes, and lets the client close. Closed from here first, what the client still sends would fail,
# and with that it would throw away what it has not read yet.
sub part_with { my ($c) = @_;
  return if $c->{parted} || length $c->{out};
  $c->{parted} = 1; shutdown($c->{handle}, 1); }
sub flush_client { my ($c) = @_;
  while (length $c->{out}) {
    my $written = syswrite($c->{handle}, $c->{out}, 262_144);
    if (!defined $written) { return if later(); return drop($c); }
    substr($c->{out}, 0, $written, ""); } }
sub drop { my ($c) = @_;
  return if $c->{gone}; $c->{gone} = 1;
  delete $client{fileno $c->{handle}};
  my $p = $c->{process};
  if ($p) {
    delete $p->{clients}{$c+0};
    end_input($p) if $p->{input_once} && $c->{wants}{0};
    kill_process($p, sub {}) if $p->{owner} && $p->{owner} == $c;
    delete $c->{process};
  }
  close $c->{handle};
  $quit = 1 if $c->{control} && !$main->{asked}; }

sub read_client { my ($c) = @_;
  my $got = sysread($c->{handle}, $c->{in}, 131_072, length $c->{in});
  if (!defined $got) { return if later(); return drop($c); }
  return drop($c) if !$got;
  while (!$c->{gone} && length $c->{in} >= 5) {
    my ($type, $length) = unpack("a N", $c->{in});
    return drop($c) if $length > $max_frame;
    last if length $c->{in} < 5 + $length;
    my $body = substr($c->{in}, 5, $length);
    substr($c->{in}, 0, 5 + $length, "");
    request($c, $type, $body);
  } }

sub attach_client { my ($c, $p, $wants) = @_;
  $c->{process} = $p; $p->{clients}{$c+0} = $c;
  $c->{wants} = { map { $_ => 1 } grep { $wants & (1 << $_) } 0, 1, 2 };
  for my $stream (1, 2) { frame($c, "z", $stream) if $c->{wants}{$stream} && $p->{running} && !$p->{out}{$stream}; } }

# How much may be read from a stream now: what its slowest reader takes. A process that has ended cannot wait: what it left
# fits into its pipe, so that much is read in any case.
sub room { my ($p, $stream) = @_;
  my $room = 65_536;
  for my $c (values %{$p->{clients}}) {
    next unless $c->{wants}{$stream};
    $room = $c->{window}{$stream} if $c->{window}{$stream} < $room; }
  return $room if $room > 0;
  return $p->{ended} ? ($p->{spare}{$stream} //= 131_072) : 0; }
sub read_stream { my ($p, $stream) = @_;
  my $room = room($p, $stream);
  return 0 if $room <= 0;
  $room = 65_536 if $room > 65_536;
  my $data;
  my $got = sysread($p->{out}{$stream}, $data, $room);
  # A terminal says EIO when its last user has closed it.
  if (!defined $got) { return 0 if later(); end_stream($p, $stream); return 0; }
  if (!$got) { end_stream($p, $stream); return 0; }
  log_output($stream == 1 ? "stdout" : "stderr", $data) if $p->{logged};
  for my $c (values %{$p->{clients}}) {
    next unless $c->{wants}{$stream};
    $c->{window}{$stream} -= $got;
    frame($c, $stream, $data); }
  $p->{spare}{$stream} -= $got if $p->{ended} && defined $p->{spare}{$stream};
  return $got; }
sub end_stream { my ($p, $stream) = @_;
  my $handle = delete $p->{out}{$stream} or return;
  log_end($stream == 1 ? "stdout" : "stderr") if $p->{logged};
  for my $c (values %{$p->{clients}}) { frame($c, "z", $stream) if $c->{wants}{$stream}; }
  close $handle unless $p->{tty} && $p->{input}; }

sub add_input { my ($p, $c, $data) = @_;
  if (!$p->{input} || $p->{input_ending}) { frame($c, "c", pack("N", length $data)); return; }
  push @{$p->{queue}}, [$c, $data, length $data];
  write_input($p); }
sub write_input { my ($p) = @_;
  while (my $next = $p->{queue}[0]) {
    my $written = syswrite($p->{input}, $next->[1]);
    if (!defined $written) {
      return if later();
      # The process closed its input: what comes is dropped.
      frame($_->[0], "c", pack("N", $_->[2])) for @{$p->{queue}};
      $p->{queue} = []; close_input($p); return; }
    substr($next->[1], 0, $written, "");
    next if length $next->[1];
    frame($next->[0], "c", pack("N", $next->[2])) if $next->[2];
    shift @{$p->{queue}}; }
  close_input($p) if $p->{input_ending}; }
sub end_input { my ($p) = @_;
  return if !$p->{input} || $p->{input_ending};
  # A terminal cannot be closed from this side; its end of file is a character.
  push @{$p->{queue}}, [undef, "\x04", 0] if $p->{tty};
  $p->{input_ending} = 1;
  write_input($p); }
sub close_input { my ($p) = @_;
  my $handle = delete $p->{input} or return;
  close $handle unless $p->{tty}; }
`;
