import { enterContainer } from "./enter-container.ts";

/**
 * Packs a tree of a container into a tar archive, or unpacks one, as a process of the container would. After the arguments of
 * `enterContainer`: `pack` (path of the directory above, name in it) or `unpack` (directory).
 *
 * The format is that of pax in POSIX.1-2017, with the long names of GNU tar when reading. Packing follows no link. Unpacking
 * follows those that were there before, never one that came with the archive, and refuses what leads out of the directory.
 */
export const treeProgram: string = String.raw`${enterContainer}
my ($deepest, $most, $longest, $longest_name) = (500, 1_000_000, 1_048_576, 4_096);
my $path_only = 0x200000;
sub refuse { my ($subject, $why) = @_; $! = $n{EINVAL}; fail("refuse", "$subject $why"); }
sub too_much { $! = $n{EINVAL}; fail("limit", $_[0]); }
sub broken { $! = $n{EINVAL}; fail("unpack", "it is no tar archive: $_[0]"); }

my $waiting = "";
sub emit { $waiting .= $_[0];
  flush() if length $waiting >= 65_536; }
sub flush { write_all(\*STDOUT, $waiting, "pack"); $waiting = ""; }

# A number that does not fit its field, and a name that is too long, stand in a record before the header.
sub record { my ($key, $value) = @_;
  my $length = length($key) + length($value) + 3;
  my $all = $length + length $length;
  $all = $length + length $all;
  return "$all $key=$value\n"; }
sub block { my ($name, $type, $of) = @_;
  my $block = pack("a100 a8 a8 a8 a12 a12 A8 a1 a100 a6 a2 a64 a8 a8 x167", $name,
    map({ sprintf("%07o", $_) } $of->{mode}, $of->{uid}, $of->{gid}), map({ sprintf("%011o", $_) } $of->{size}, $of->{mtime}),
    "", $type, $of->{link}, "ustar", "00", "", map { sprintf("%07o", $_) } $of->{major}, $of->{minor});
  substr($block, 148, 8) = sprintf("%06o\0 ", unpack("%32C*", $block));
  return $block; }
sub padding { return "\0" x (-$_[0] & 511); }
sub header { my ($name, $type, %of) = @_;
  %of = (mode => 0, uid => 0, gid => 0, size => 0, mtime => 0, link => "", major => 0, minor => 0, %of);
  my $records = "";
  if (length $name > 100) { $records .= record("path", $name); $name = substr($name, 0, 100); }
  if (length $of{link} > 100) { $records .= record("linkpath", $of{link}); $of{link} = substr($of{link}, 0, 100); }
  for my $key (qw(size mtime)) {
    next if $of{$key} >= 0 && $of{$key} < 8 ** 11;
    $records .= record($key, $of{$key}); $of{$key} = 0; }
  for my $key (qw(uid gid)) {
    next if $of{$key} < 8 ** 7;
    $records .= record($key, $of{$key}); $of{$key} = 0; }
  $_ &= 0x1fffff for @of{qw(major minor)};
  if (length $records) {
    my %plain = (%of, size => length $records, mode => 0600, link => "");
    emit(block("PaxHeader", "x", \%plain) . $records . padding(length $records)); }
  emit(block($name, $type, \%of)); }

my ($entries, %packed) = (0);
# Says whether it was a directory, which it has gone into.
sub pack_entry { my ($name, $shown, $depth) = @_;
  my @stat = lstat $name or do { return if $depth && $! == $n{ENOENT}; fail("pack", $shown); };
  my $kind = $stat[2] & 0170000;
  my %of = (mode => $stat[2] & 07777, uid => $stat[4], gid => $stat[5], mtime => int $stat[9]);
  return if $kind == 0140000;
  if ($kind == 0040000) {
    too_much("$shown is nested too deeply") if $depth > $deepest;
    sysopen(my $directory, $name, $n{O_RDONLY} | $n{O_DIRECTORY} | $n{O_NOFOLLOW})
      or do { return if $depth && $! == $n{ENOENT}; fail("pack", $shown); };
    header("$shown/", "5", %of);
    chdir $directory or fail("pack", $shown);
    opendir(my $list, ".") or fail("pack", $shown);
    close $directory;
    while (defined(my $each = readdir $list)) {
      next if $each eq "." || $each eq "..";
      if (pack_entry($each, "$shown/$each", $depth + 1)) { chdir $list or fail("pack", $shown); } }
    return 1; }
  my $again = $stat[3] > 1 && "$stat[0]:$stat[1]";
  if ($again && defined $packed{$again}) { header($shown, "1", %of, link => $packed{$again}); return; }
  $packed{$again} = $shown if $again && keys %packed < 100_000;
  if ($kind == 0120000) {
    my $target = readlink $name;
    return unless defined $target;
    header($shown, "2", %of, link => $target); return; }
  if ($kind != 0100000) {
    my %types = (0010000 => "6", 0020000 => "3", 0060000 => "4");
    header($shown, $types{$kind}, %of, major => ($stat[6] >> 8) & 0xfff, minor => $stat[6] & 0xff | $stat[6] >> 12 & 0xfff00); return; }
  # What stands there may have become a pipe meanwhile, which would keep it waiting.
  sysopen(my $file, $name, $n{O_RDONLY} | $n{O_NONBLOCK} | $n{O_NOFOLLOW})
    or do { delete $packed{$again} if $again; return if $depth && $! == $n{ENOENT}; fail("pack", $shown); };
  @stat = stat $file;
  -f _ or do { $! = $n{EINVAL}; fail("pack", "$shown has changed"); };
  my $left = $stat[7];
  header($shown, "0", %of, size => $left);
  while ($left > 0) {
    my $got = sysread($file, my $data, $left < 65_536 ? $left : 65_536);
    if (!defined $got) { next if $! == $n{EINTR}; fail("pack", $shown); }
    # It has become shorter, but its size is told already.
    $data = "\0" x ($left < 65_536 ? $left : 65_536) if !$got;
    $left -= length $data;
    emit($data); }
  emit(padding($stat[7]));
  return; }

# All of what is asked for, or nothing at the end.
sub take { my ($count) = @_;
  my $got = read(STDIN, my $data, $count);
  defined $got or fail("unpack");
  $got == $count or broken("it ends too early");
  return $data; }
sub number { my ($field) = @_;
  if (ord($field) & 0x80) {
    return 0 if ord($field) & 0x40;
    my $value = 0;
    $value = $value * 256 + $_ for ord($field) & 0x3f, unpack("x C*", $field);
    broken("a number is too large") if $value > 2 ** 53;
    return int $value; }
  $field =~ /^[ \0]*([0-7]*)[ \0]*$/ or broken("a number is none");
  return oct(length $1 ? $1 : "0"); }
sub records { my ($text) = @_;
  my %found;
  while (length $text) {
    $text =~ /^(\d{1,8}) / or broken("a record has no length");
    my ($digits, $length) = (length $1, $1 + 0);
    broken("a record is too short or too long") if $length < $digits + 3 || $length > length $text || substr($text, $length - 1, 1) ne "\n";
    my ($key, $value) = split /=/, substr($text, $digits + 1, $length - $digits - 2), 2;
    refuse($found{path} // "an entry", "is a sparse file") if $key =~ /^GNU\.sparse/;
    $found{$key} = $value // "";
    substr($text, 0, $length, ""); }
  for my $key (qw(size mtime)) {
    next unless defined $found{$key};
    $found{$key} =~ /^-?\d{1,15}(?:\.\d*)?$/ or broken("a number is none");
    $found{$key} = int $found{$key}; }
  return %found; }
# Headers of one entry: its name, type and what else is known of it; nothing at the end.
sub next_entry {
  my %more;
  while (1) {
    my $block = take(512);
    return if $block !~ /[^\0]/;
    my $sum = number(substr($block, 148, 8));
    substr($block, 148, 8) = " " x 8;
    $sum == unpack("%32C*", $block) or broken("a checksum is wrong");
    my ($name, $mode, $size, $mtime, $type, $link, $magic, $prefix) = unpack("Z100 a8 x16 a12 a12 x8 a1 Z100 a6 x82 Z155", $block);
    $size = number($size);
    if ($type =~ /[xgLK]/) {
      too_much("an entry says more than $longest bytes of itself") if $size > $longest;
      my $body = take($size);
      take(-$size & 511);
      if ($type eq "x") { %more = (%more, records($body)); }
      elsif ($type ne "g") { $body =~ s/\0.*//s; $more{$type eq "L" ? "path" : "linkpath"} = $body; }
      next; }
    $name = "$prefix/$name" if $magic eq "ustar\0" && length $prefix;
    my %of = (name => $name, type => $type, mode => number($mode), mtime => number($mtime), link => $link);
    $of{name} = $more{path} if defined $more{path};
    $of{link} = $more{linkpath} if defined $more{linkpath};
    $of{mtime} = $more{mtime} if defined $more{mtime};
    $of{size} = $more{size} // $size;
    broken("a size is negative") if $of{size} < 0;
    $of{type} = "5" if $type =~ /[0\0]/ && $of{name} =~ m{/$};
    return \%of; } }

my ($top, $at, %came);
sub parts { my ($name) = @_;
  my $said = substr($name, 0, 200);
  refuse($said, "is a name with NUL") if $name =~ /\0/;
  refuse($said, "leads out of the directory") if $name =~ m{^/} || $name =~ m{(?:^|/)\.\.(?:/|$)};
  too_much("$said is too long") if length $name > $longest_name;
  return grep { length && $_ ne "." } split m{/}, $name; }
# Goes to a directory below the top, which is made when it is missing.
sub enter { my (@parts) = @_;
  my $place = join "/", @parts;
  return if defined $at && $at eq $place;
  undef $at;
  chdir $top or fail("unpack");
  for my $part (@parts) {
    my @stat = lstat $part;
    if (!@stat) { mkdir $part, 0777 or -d $part or fail("unpack", $place); @stat = lstat $part; }
    my $is_link = @stat && ($stat[2] & 0170000) == 0120000;
    refuse($place, "leads through a link of the archive") if $is_link && $came{"$stat[0]:$stat[1]"};
    sysopen(my $next, $part, $path_only | $n{O_DIRECTORY} | ($is_link ? 0 : $n{O_NOFOLLOW})) or fail("unpack", $place);
    chdir $next or fail("unpack", $place); }
  $at = $place; }
sub make_room { my ($name, $shown) = @_;
  unlink $name or $! == $n{ENOENT} or fail("unpack", $shown); }
sub unpack_file { my ($name, $of) = @_;
  make_room($name, $of->{name});
  sysopen(my $file, $name, $n{O_WRONLY} | $n{O_CREAT} | $n{O_EXCL} | $n{O_NOFOLLOW}, 0600) or fail("unpack", $of->{name});
  my $left = $of->{size};
  while ($left > 0) {
    my $data = take($left < 65_536 ? $left : 65_536);
    $left -= length $data;
    write_all($file, $data, "unpack", $of->{name}); }
  take(-$of->{size} & 511);
  chmod $of->{mode} & 01777, $file or fail("unpack", $of->{name});
  utime $of->{mtime}, $of->{mtime}, $file;
  close $file or fail("unpack", $of->{name}); }

if ($what eq "pack") {
  my ($name) = @more;
  chdir $path or fail("pack");
  pack_entry($name, $name eq "." ? "." : "./$name", 0);
  emit("\0" x 1_024);
  flush(); }
elsif ($what eq "unpack") {
  binmode STDIN;
  my $made = "";
  for my $part (split m{/}, $path) { $made .= "/$part" if length $part; length $part && !-d $made && !mkdir($made, 0777) && !-d $made && fail("unpack", $made); }
  sysopen($top, $path, $path_only | $n{O_DIRECTORY}) or fail("unpack");
  my @directories;
  while (my $of = next_entry()) {
    too_much("it has more than $most entries") if ++$entries > $most;
    my @parts = parts($of->{name});
    too_much("$of->{name} is nested too deeply") if @parts > $deepest;
    if (!@parts) { refuse("the directory itself", "is no directory in the archive") if $of->{type} ne "5"; next; }
    my $name = $parts[-1];
    my @above = @parts[0 .. $#parts - 1];
    if ($of->{type} =~ /[0\0\x37]/) { enter(@above); unpack_file($name, $of); }
    elsif ($of->{type} eq "5") {
      enter(@above);
      # One that is there keeps its mode, as the directory keeps its own that all is unpacked into.
      if (mkdir $name, 0700) { push @directories, [\@parts, $of->{mode} & 01777, $of->{mtime}]; }
      else { enter(@parts); } }
    elsif ($of->{type} eq "2") {
      enter(@above);
      refuse($of->{name}, "is a link with NUL") if $of->{link} =~ /\0/;
      make_room($name, $of->{name});
      symlink $of->{link}, $name or fail("unpack", $of->{name});
      my @stat = lstat $name;
      $came{"$stat[0]:$stat[1]"} = 1 if @stat; }
    elsif ($of->{type} eq "1") {
      my @other = parts($of->{link});
      refuse($of->{name}, "is a link to nothing") unless @other;
      my $source = pop @other;
      enter(@other);
      sysopen(my $from, ".", $path_only | $n{O_DIRECTORY}) or fail("unpack", $of->{name});
      enter(@above);
      next if join("/", @other, $source) eq join("/", @parts);
      make_room($name, $of->{name});
      my $here = -100;
      call("linkat", fileno $from, $source, $here, $name, 0) == 0 or fail("unpack", $of->{name}); }
    else { refuse($of->{name}, "is neither file, directory nor link"); } }
  # What is written into them afterwards would change their times, or could not be written.
  for my $each (reverse @directories) {
    my ($parts, $mode, $mtime) = @$each;
    enter(@$parts);
    sysopen(my $directory, ".", $n{O_RDONLY} | $n{O_DIRECTORY}) or next;
    chmod $mode, $directory or fail("unpack", join "/", @$parts);
    utime $mtime, $mtime, $directory; }
  1 while read(STDIN, my $rest, 65_536); }
else { $! = $n{EINVAL}; fail($what); }
close STDOUT or fail($what);
exit 0;
`;
