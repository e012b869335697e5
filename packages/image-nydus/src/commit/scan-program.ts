/**
 * Reads a directory tree and prints all of it. Arguments: directory, most names.
 *
 * Whatever somebody puts there meanwhile, no byte comes from elsewhere: directories are opened below the first one without
 * following anything (openat2), and a file is looked at through the one descriptor it was opened with before it is read.
 *
 * Prints a frame per name: 32 bits of length, then fields, each with 32 bits of length before it: kind, path, numbers, link
 * target, then names and values of extended attributes. Behind the frame of a file come its bytes: 32 bits of how (1 data,
 * 2 hole, 0 end), 32 bits of length, and the bytes of data.
 */
export const scanProgram: string = String.raw`
my ($directory, $limit) = @ARGV;
my ($here, $nothing) = (-100, "");
my ($open_path, $nofollow, $cloexec, $directory_only) = (0x200000, $flag{nofollow}, 0x80000, $flag{directory});
my ($list, $value, $status) = ("\0" x 65536, "\0" x 65536, "\0" x 256);
my ($blocks, $names) = (1048576, 0);
binmode STDOUT;
sub put { my $rest = join("", @_);
  while (length $rest) { my $done = syswrite(STDOUT, $rest) // fail("write"); substr($rest, 0, $done) = ""; } }
# Not through links of any kind, not upwards, and not into what is mounted there.
sub below { my ($base, $path, $flags, $shown) = @_;
  my $how = pack("Q3", $flags | $cloexec, 0, 0x0f);
  my $file = syscall(437, $base, $path, $how, 24);
  fail("open", $shown) if $file < 0;
  open(my $handle, "<&=", $file) or fail("open", $shown);
  return $handle; }
sub look { my ($file, $shown) = @_;
  syscall($call{statx}+0, fileno($file), $nothing, 0x1000, 0x7ff, $status) == 0 or fail("stat", $shown);
  my ($nlink, $uid, $gid, $mode) = unpack("x16 L3 S", $status);
  my ($inode, $size) = unpack("x32 Q2", $status);
  my ($seconds, $nanoseconds) = unpack("x112 q L", $status);
  my ($major, $minor, $device_major, $device_minor) = unpack("x128 L4", $status);
  return ($mode, $nlink, $uid, $gid, $size, $seconds, $nanoseconds, $major, $minor, "$device_major:$device_minor:$inode"); }
sub attributes { my ($file, $shown) = @_;
  my $path = "/proc/self/fd/" . fileno($file);
  my $length = syscall($call{listxattr}+0, $path, $list, 65536);
  if ($length < 0) { return () if $!{ENOTSUP}; fail("list attributes", $shown); }
  my @all;
  for my $name (split /\0/, substr($list, 0, $length)) {
    my $got = syscall($call{getxattr}+0, $path, $name, $value, 65536);
    if ($got < 0) { next if $!{ENODATA}; fail("read attribute $name", $shown); }
    push @all, $name, substr($value, 0, $got); }
  return @all; }
sub frame { my $text = join("", map { pack("N/a*", $_) } @_); put(pack("N", length $text), $text); }
sub content { my ($file, $size, $shown) = @_;
  sysopen(my $data, "/proc/self/fd/" . fileno($file), 0) or fail("open", $shown);
  my $at = 0;
  while ($at < $size) {
    my $from = sysseek($data, $at, 3);
    if (!defined $from) {
      fail("seek", $shown) unless $!{ENXIO};
      # No more data: a hole up to the end, or a file that has become shorter.
      if ((stat $data)[7] < $size) { put(pack("NN", 0, 0)); return; }
      $from = $size; }
    $from = $size if $from > $size;
    while ($at < $from) {
      my $hole = $from - $at > 0x40000000 ? 0x40000000 : $from - $at;
      put(pack("NN", 2, $hole)); $at += $hole; }
    last if $at >= $size;
    my $end = sysseek($data, $at, 4) // fail("seek", $shown);
    $end = $size if $end > $size;
    sysseek($data, $at, 0) // fail("seek", $shown);
    while ($at < $end) {
      my $want = $end - $at > $blocks ? $blocks : $end - $at;
      my $got = sysread($data, my $bytes, $want) // fail("read", $shown);
      if ($got == 0) { put(pack("NN", 0, 0)); return; }
      put(pack("NN", 1, $got), $bytes); $at += $got; } }
  put(pack("NN", 0, 0)); }

open(my $root, "<", $directory) or fail("open", $directory);
my @root = look($root, ".");
frame("directory", ".", @root, "", attributes($root, "."));
my @pending = ("");
my %kind = (0x8000 => "file", 0x4000 => "directory", 0xa000 => "symlink", 0x2000 => "character-device",
  0x6000 => "block-device", 0x1000 => "fifo", 0xc000 => "socket");
while (@pending) {
  my $prefix = pop @pending;
  my $folder = $prefix eq "" ? $root : below(fileno($root), substr($prefix, 0, -1), $directory_only | $nofollow, $prefix);
  chdir($folder) or fail("enter", $prefix);
  opendir(my $entries, ".") or fail("open", $prefix);
  my (@names, @inside);
  while (defined(my $name = readdir $entries)) {
    next if $name eq "." or $name eq "..";
    if (++$names > $limit) { $! = 7; fail("list", $prefix) }
    push @names, $name; }
  closedir($entries);
  for my $name (sort @names) {
    my $path = "$prefix$name";
    my $file = below($here, $name, $open_path | $nofollow, $path);
    my @seen = look($file, $path);
    my $kind = $kind{$seen[0] & 0xf000} // "unknown";
    my $target = "";
    if ($kind eq "symlink") { $target = readlink($name) // fail("read link", $path); }
    frame($kind, $path, @seen, $target, attributes($file, $path));
    content($file, $seen[4], $path) if $kind eq "file";
    push @inside, "$path/" if $kind eq "directory"; }
  push @pending, reverse @inside; }
`;
