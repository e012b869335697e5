/** Part of the monitor: the container's process, and those that are executed beside it. */
export const monitorProcesses: string = String.raw`
my (%starting, %by_pid, %unclaimed);
my $tty_size = 0x5414;

sub start_process { my ($p, $wants_input, @command) = @_;
  my ($in, $out, $err, $input);
  if ($p->{tty}) {
    unlink "$p->{name}.sock";
    socket(my $console, 1, 1, 0) or return failed($p, "console socket: $!");
    bind($console, pack("S a*", 1, "$p->{name}.sock")) or return failed($p, "console socket: $!");
    listen($console, 1);
    $p->{console} = $console; $p->{wants_input} = $wants_input;
    open($in, "<", "/dev/null"); open($out, ">", "/dev/null");
    pipe($p->{messages}, $err) or return failed($p, "pipe: $!");
    unblock($p->{messages}); }
  else {
    if ($wants_input) { pipe($in, $input) or return failed($p, "pipe: $!"); unblock($input); $p->{input} = $input; }
    else { open($in, "<", "/dev/null"); }
    for ([1, \$out], [2, \$err]) {
      my ($stream, $end) = @$_;
      pipe($p->{out}{$stream}, $$end) or return failed($p, "pipe: $!");
      unblock($p->{out}{$stream}); } }
  my $pid = fork();
  return failed($p, "fork: $!") unless defined $pid;
  if (!$pid) {
    $SIG{$_} = "DEFAULT" for qw(PIPE HUP INT TERM);
    hear_signals();
    # The root of a user namespace is anybody to the cgroups that it is shown.
    umask 022;
    open(STDIN, "<&", $in); open(STDOUT, ">&", $out); open(STDERR, ">&", $err);
    # Where the OCI runtime cannot say it, the process inherits its cgroup.
    if ($setting{execJoins} && $p != $main && !$p->{direct}) { spew("$p->{tree}/cgroup.procs", $$) or fail("join a cgroup"); }
    hide_unified() if $setting{hideUnified} && !$p->{direct};
    # Programs in Go that are done in some milliseconds are slowed down by collecting garbage, and by threads for it. A kernel
    # of a container's own would inherit that, and stays.
    if (!$p->{direct} && !$setting{ownKernel}) { $ENV{GOGC} = "off"; $ENV{GOMEMLIMIT} = "256MiB"; $ENV{GOMAXPROCS} = 1; }
    my $copy = $p->{direct} ? undef : runtime_copy($command[0]);
    if (defined $copy) { exec { $copy } @command; }
    exec { $command[0] } @command or do { print STDERR "$command[0]: $!"; kill 9, $$; } }
  $p->{asked} = 1; $p->{starter} = $pid; $p->{oom_before} = oom_kills();
  $process{$p->{name}} = $p;
  if (!$p->{direct}) { $starting{$pid} = $p; return; }
  delete $p->{starter};
  $p->{pid} = $pid; $p->{running} = 1; $by_pid{$pid} = $p;
  inform($p, "p", $pid); }

# crun 1.8 refuses machines with both versions of cgroups; it looks at this mount only.
sub hide_unified {
  my ($none, $root, $unified) = ("none", "/sys/fs/cgroup", "/sys/fs/cgroup/unified");
  my ($recursive, $private, $detach) = (16_384, 262_144, 2);
  call("unshare", 0x20000) == 0 or fail("unshare");
  call("mount", $none, $root, $none, $recursive | $private, $none);
  call("umount2", $unified, $detach); }

# Those who want its output from the first byte on are there before it is.
sub begin { return if $main->{asked} || !$main->{wanted} || keys %{$main->{clients}} < $setting{sessions};
  start_process($main, $setting{input}, @runtime, "run", "--detach", "--pid-file", "container.pid", "--bundle", ".",
    $main->{tty} ? ("--console-socket", "container.sock") : (), $setting{id}); }
sub execute { my ($c, $body) = @_;
  my ($name, $wants, $tty) = split /\0/, $body;
  return drop($c) if $c->{process} || $process{$name} || $name !~ /^exec-[a-z0-9]{1,40}$/;
  my $tree = length($setting{execTree} // "") ? "$setting{execTree}/$name" : undef;
  my $p = { name => $name, clients => {}, queue => [], out => {}, tty => $tty, owner => $c, tree => $tree, asked => 1 };
  attach_client($c, $p, $wants);
  return failed($p, "The container is not running.") if !$main->{running} || $main->{ended};
  if ($tree) {
    my $path = "";
    for my $part (split m{/}, $setting{execTree}) { $path .= $part; mkdir $path, 0755 if length $path; $path .= "/"; }
    mkdir $tree, 0755 or return failed($p, "$tree: $!"); }
  start_process($p, $wants & 1, @runtime, "exec", "--detach", "--pid-file", "$name.pid", "--process", "$name.json",
    $setting{ownKernel} ? ("--internal-pid-file", "$name.inside") : (),
    length($setting{execCgroup} // "") ? ("--cgroup", "$setting{execCgroup}$name") : (), $tty ? ("--console-socket", "$name.sock") : (), $setting{id}); }

# A program of this side's, at the container's files: it gets the container's mounts, opened while its process is surely there.
sub serve_files { my ($c, $body) = @_;
  my ($name, $wants, $program, $table, @words) = split /\0/, $body, -1;
  return drop($c) if $c->{process} || $process{$name} || $name !~ /^exec-[a-z0-9]{1,40}$/;
  my $p = { name => $name, clients => {}, queue => [], out => {}, owner => $c, asked => 1, direct => 1 };
  attach_client($c, $p, $wants);
  return failed($p, "The container is not running.") if !$main->{running} || $main->{ended};
  my ($users, $mounts);
  sysopen($mounts, "/proc/$main->{pid}/ns/mnt", 0) or return failed($p, "The container is not running.");
  if ($setting{mapped}) { sysopen($users, "/proc/$main->{pid}/ns/user", 0) or return failed($p, "The container is not running."); }
  fcntl($_, 2, 0) for grep { $_ } $users, $mounts;
  start_process($p, $wants & 1, $setting{perl}, "-e", $program, "--", $table, $users ? fileno $users : "", fileno $mounts, @words); }

sub reap {
  my $without_waiting = 1;
  while ((my $pid = waitpid(-1, $without_waiting)) > 0) {
    my $status = $?;
    if (my $p = delete $starting{$pid}) { started($p, $status); }
    elsif ($p = delete $by_pid{$pid}) { ended($p, $status); }
    elsif (my $done = delete $order{$pid}) { $done->(); }
    elsif (%starting) { $unclaimed{$pid} = $status; } }
  %unclaimed = () unless %starting; }

sub started { my ($p, $status) = @_;
  my $name = $p->{name};
  delete $p->{starter};
  my $pid = $status == 0 ? (slurp("$name.pid") // 0) + 0 : 0;
  if ($pid && $p->{tty}) { $p->{accepted} or receive_terminal($p); $p->{terminal} or do { kill 9, $pid; $pid = 0; }; }
  $p->{inside} = (slurp("$name.inside") // 0) + 0 if $setting{ownKernel};
  unlink "$name.pid", $p == $main ? () : ("$name.json", "$name.inside"), $p->{tty} ? "$name.sock" : ();
  if (!$pid) {
    my $message = "";
    sysread($p->{messages} // $p->{out}{2}, $message, 8_192);
    return failed($p, length $message ? $message : "The OCI runtime ended with status " . ($status >> 8) . "."); }
  close(delete $p->{messages}) if $p->{messages};
  close(delete $p->{console}) if $p->{console};
  # runc is done shortly before its process becomes the program, and a signal in between would be for runc.
  for (1 .. 1_000) { last unless (slurp("/proc/$pid/comm") // "") =~ /^runc:\[/; select(undef, undef, undef, 0.001); }
  $p->{pid} = $pid; $p->{running} = 1;
  hold_mounts($p) if $p == $main && $setting{users};
  inform($p, "p", $pid);
  if ($p->{tty}) { frame($_, "z", 2) for grep { $_->{wants}{2} } values %{$p->{clients}}; }
  my $known = delete $unclaimed{$pid};
  if (defined $known) { ended($p, $known); } else { $by_pid{$pid} = $p; }
  settle_doomed($p); }
# As long as it is open, no other namespace gets its number and is taken for it.
sub hold_mounts { my ($p) = @_;
  sysopen($p->{mounts}, "/proc/$p->{pid}/ns/mnt", 0) or return;
  $p->{tree} = readlink("/proc/self/fd/" . fileno $p->{mounts}); }
sub receive_terminal { my ($p) = @_;
  $p->{accepted} = accept(my $peer, $p->{console}) or return 0;
  # recvmsg(2): the kernel writes into these strings, so none may share its bytes with another.
  my ($data, $control) = ("", ""); vec($data, 4_095, 8) = 0; vec($control, 63, 8) = 0;
  my $vector = pack("P Q", $data, length $data);
  my $message = pack("Q L x4 P Q P Q l x4", 0, 0, $vector, 1, $control, length $control, 0);
  my $close_on_exec = 0x40000000;
  call("recvmsg", fileno $peer, $message, $close_on_exec) >= 0 or return 0;
  my ($length, $level, $type, $fd) = unpack("Q l l l", $control);
  return 0 unless $length >= 20 && $level == 1 && $type == 1;
  open(my $terminal, "+<&=", $fd) or return 0;
  unblock($terminal);
  ioctl($terminal, $tty_size, pack("S4", @{$p->{size}}, 0, 0)) if $p->{size};
  $p->{terminal} = $p->{out}{1} = $terminal;
  $p->{input} = $terminal if $p->{wants_input};
  return 1; }
sub failed { my ($p, $message) = @_;
  inform($p, "f", substr($message, 0, 8_192));
  unlink map { "$p->{name}.$_" } qw(pid sock), $p == $main ? () : qw(json inside);
  delete $process{$p->{name}};
  rmdir $p->{tree} if $p->{tree} && $p != $main;
  $_->() for @{delete $p->{doomed} // []};
  if ($p->{owner}) { delete $p->{owner}{process}; }
  finish() if $p == $main; }
# To who asked for the process, and for the container's to all who watch it.
sub inform { my ($p, $type, $body) = @_;
  if ($p != $main) { frame($p->{owner}, $type, $body); return; }
  frame($_, $type, $body) for grep { $_->{control} } values %client; }

sub ended { my ($p, $status) = @_;
  $p->{ended} = 1;
  $status = 9 if died_with_kernel($p, $status);
  my ($code, $signal) = ($status >> 8, $status & 127);
  my $oom = oom_kills() > $p->{oom_before} ? 1 : 0;
  $p->{result} = sprintf('{"exitCode":%d,"signal":%d,"isOomKilled":%s,"finishedAt":"%d%09d"}',
    $signal ? 128 + $signal : $code, $signal, $oom ? "true" : "false", now());
  $p->{deadline} = time() + 5;
  # All that it wrote is in its pipes by now.
  for my $stream (keys %{$p->{out}}) { 1 while $p->{out}{$stream} && read_stream($p, $stream) > 0; }
  $p->{queue} = [], close_input($p) if $p->{input};
  # Those at its files would not end with it, and keep its mounts.
  if ($p == $main) { kill 9, map { $_->{pid} } grep { $_->{direct} && $_->{pid} && !$_->{ended} } values %process; }
  if ($p == $main) { $p->{alone} = 0; kill_tree($p->{tree}, sub { $p->{alone} = 1; if ($p->{mounts}) { delete $p->{tree}; close delete $p->{mounts}; } }); }
  else { announce($p); } }
sub announce { my ($p) = @_; $p->{announced} = 1;
  inform($p, "x", $p->{result}); }
sub settle_processes {
  for my $p (values %process) {
    next unless $p->{ended};
    my $late = time() >= $p->{deadline};
    if ($late) { end_stream($p, $_) for keys %{$p->{out}}; $p->{alone} = 1; }
    next if %{$p->{out}};
    if ($p != $main) { forget($p) if !$p->{owner}{process}; next; }
    next if $p->{announced} || !$p->{alone};
    # Those executed in it die with it, and are heard of first.
    next if !$late && grep { $_ != $main && !$_->{ended} && $_->{pid} } values %process;
    record($p->{result}); announce($p); finish(); }
  if ($finish_by) { part_with($_) for values %client; $quit = 1 if time() >= $finish_by || !%client; } }
sub forget { my ($p) = @_;
  # What it left behind still runs in it; then the container's end takes it away.
  delete $process{$p->{name}} if !$p->{tree} || rmdir($p->{tree}) || !-d $p->{tree}; }
# Before the connections end: then nothing of it is left for anybody else to take away.
sub finish { return if defined $finish_by;
  $finish_by = time() + 5;
  unmount_root() if $setting{overlay};
  rmdir $_->{tree} for grep { $_ != $main && $_->{tree} } values %process; }
# It need not be on a disk: after a restart of the machine nobody asks for it.
sub record { my ($text) = @_;
  my $temporary = "exit.json.part";
  if (open(my $file, ">", $temporary)) {
    syswrite($file, $text); close $file;
    rename $temporary, "exit.json"; } }
sub next_deadline {
  my @times = grep { defined } $finish_by, map { $_->{ended} && %{$_->{out}} || $_->{ended} && $_ == $main && !$_->{announced} ? $_->{deadline} : undef } values %process;
  return undef unless @times;
  my $first = (sort { $a <=> $b } @times)[0] - time();
  return $first > 0 ? $first : 0; }
sub oom_kills { return 0 unless length($setting{oom} // "");
  return (slurp($setting{oom}) // "") =~ /^oom_kill (\d+)/m ? $1 : 0; }

sub kill_tree { my ($tree, $done) = @_;
  my @files = defined $tree && length $tree ? kill_members($tree) : ();
  return $done->() unless @files;
  push @watches, { files => { map { fileno($_) => $_ } @files }, again => sub { kill_tree($tree, $done) } }; }
sub settle_watches { my ($read) = @_;
  my @over;
  for my $watch (@watches) {
    for my $fd (keys %{$watch->{files}}) { delete $watch->{files}{$fd} if vec($read, $fd, 1); }
    push @over, $watch unless %{$watch->{files}}; }
  return unless @over;
  @watches = grep { %{$_->{files}} } @watches;
  $_->{again}->() for @over; }
sub kill_process { my ($p, $done) = @_;
  return kill_inside($p, $done) if $setting{ownKernel} && $p != $main && !$p->{direct};
  kill 9, $p->{starter} if $p->{starter};
  kill 9, $p->{pid} if $p->{pid} && !$p->{ended};
  kill_tree($p->{tree}, sub { forget($p) if $p != $main && $p->{ended} && !%{$p->{out}}; $done->(); }); }

sub request { my ($c, $type, $body) = @_;
  if ($type eq "H") { $c->{control} = 1;
    if ($main->{announced}) { frame($c, "x", $main->{result}); } elsif ($main->{pid}) { frame($c, "p", $main->{pid}); } }
  elsif ($type eq "g") { $main->{wanted} = 1 if $c->{control}; begin(); }
  elsif ($type eq "A") { attach_client($c, $main, unpack("C", $body)) unless $c->{process}; begin(); }
  elsif ($type eq "X") { execute($c, $body); }
  elsif ($type eq "F") { serve_files($c, $body); }
  elsif ($type eq "i") { my $p = $c->{process};
    if ($p && $c->{wants}{0}) { add_input($p, $c, $body); } else { frame($c, "c", pack("N", length $body)); } }
  elsif ($type eq "e") { my $p = $c->{process};
    end_input($p) if $p && $c->{wants}{0} && ($p->{owner} || $p->{input_once}); }
  elsif ($type eq "c") { my ($stream, $count) = unpack("a N", $body); $c->{window}{$stream} += $count; }
  elsif ($type eq "d") { delete $c->{wants}{$body}; }
  elsif ($type eq "b") { $quit = 1 if $c->{control} && !$main->{asked}; }
  elsif ($type eq "q") { delete $c->{process}{clients}{$c+0} if $c->{process}; delete $c->{process}; drop($c); }
  else { ask($c, $type, $body); } }
# Requests that are answered: a number that comes back with the answer, then what is wanted.
sub ask { my ($c, $type, $body) = @_;
  my ($number, @words) = unpack("N n*", $body);
  my $p = $c->{process} // $main;
  my $ok = sub { frame($c, "y", pack("N", $number)); };
  my $refuse = sub { frame($c, "n", pack("N N", $number, $! + 0) . $_[0]); };
  if ($type eq "s") {
    return signal_inside($p, $words[0], $ok) if $setting{ownKernel};
    if ($p->{pid} && !$p->{ended}) { kill $words[0], $p->{pid}; }
    $ok->(); }
  elsif ($type eq "k") {
    my $name = substr($body, 4);
    $p = length $name ? $process{$name} : $p;
    return $ok->() unless $p && $p->{asked};
    kill_process($p, $ok); }
  elsif ($type eq "w") {
    $p->{size} = [@words[1, 0]];
    ioctl($p->{terminal}, $tty_size, pack("S4", @words[1, 0], 0, 0)) if $p->{terminal} && ($p->{out}{1} || $p->{input});
    $ok->(); }
  elsif ($type eq "l") {
    if (!length($setting{log} // "") || open_log($setting{log})) { $ok->(); } else { $refuse->("open the log"); } }
  else { drop($c); } }
`;
