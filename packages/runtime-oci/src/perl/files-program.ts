import { enterContainer } from "./enter-container.ts";

/**
 * Reads or changes a file in a container, as a process of the container would. After the arguments of `enterContainer`:
 * `read`, `write` (mode or nothing, name of the part), `list`, `stat`, `mkdir`, `remove` (`1` for all that is in it).
 */
export const filesProgram: string = String.raw`${enterContainer}
my $deepest = 2_048;
sub make_directories { my ($directory) = @_;
  my $made = "";
  for my $part (split m{/}, $directory) {
    next unless length $part;
    $made .= "/$part";
    next if mkdir $made, 0777;
    my $errno = $! + 0;
    next if -d $made;
    $! = $errno; fail("mkdir", $made); } }
sub describe { my @stat = @_; return "$stat[2] $stat[7] $stat[9]"; }
sub remove_tree { my ($tree, $depth) = @_;
  if ($depth > $deepest) { $! = $n{EINVAL}; fail("remove", "nested too deeply"); }
  my @stat = lstat $tree or do { return if $! == $n{ENOENT}; fail("remove", $tree); };
  if (($stat[2] & 0170000) != 0040000) { unlink $tree or $! == $n{ENOENT} or fail("remove", $tree); return; }
  opendir(my $open, $tree) or fail("remove", $tree);
  my @names = grep { $_ ne "." && $_ ne ".." } readdir $open;
  closedir $open;
  remove_tree("$tree/$_", $depth + 1) for @names;
  rmdir $tree or $! == $n{ENOENT} or fail("remove", $tree); }
sub copy { my ($from, $to, $step) = @_;
  while (1) {
    my $got = sysread($from, my $data, 65_536);
    if (!defined $got) { next if $! == $n{EINTR}; fail($step); }
    return if !$got;
    write_all($to, $data, $step); } }

if ($what eq "read") {
  # A pipe or a device would keep it waiting.
  sysopen(my $file, $path, $n{O_RDONLY} | $n{O_NONBLOCK}) or fail("read");
  if (!-f $file) { $! = -d _ ? $n{EISDIR} : $n{EINVAL}; fail("read", "it is no file"); }
  copy($file, \*STDOUT, "read"); }
elsif ($what eq "write") {
  my ($mode, $name) = @more;
  my ($directory) = $path =~ m{^(.*)/[^/]*$}s;
  make_directories($directory);
  my $part = "$directory/$name";
  sysopen(my $file, $part, $n{O_WRONLY} | $n{O_CREAT} | $n{O_EXCL} | $n{O_NOFOLLOW}, 0666) or fail("write");
  eval {
    local *main::fail = sub { die join "\0", $! + 0, @_; };
    copy(\*STDIN, $file, "write");
    if (length $mode) { chmod $mode + 0, $file or fail("chmod"); }
    close $file or fail("write");
    rename $part, $path or fail("write");
    1; } or do {
    my $reason = $@;
    unlink $part;
    my ($errno, @words) = split /\0/, $reason;
    $! = $errno + 0; fail(@words); }; }
elsif ($what eq "list") {
  opendir(my $open, $path) or fail("list");
  while (defined(my $name = readdir $open)) {
    next if $name eq "." || $name eq "..";
    my @stat = lstat "$path/$name" or next;
    print describe(@stat), " $name\0"; } }
elsif ($what eq "stat") {
  if (my @stat = stat $path) { print describe(@stat); }
  elsif ($! != $n{ENOENT} && $! != $n{ENOTDIR}) { fail("stat"); } }
elsif ($what eq "mkdir") { make_directories($path); }
elsif ($what eq "remove") {
  if ($more[0]) { remove_tree($path, 0); }
  else {
    unlink $path or $! == $n{ENOENT} or fail("remove"); } }
else { $! = $n{EINVAL}; fail($what); }
close STDOUT or fail($what);
exit 0;
`;
