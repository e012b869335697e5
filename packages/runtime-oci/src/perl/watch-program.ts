import { enterContainer } from "./enter-container.ts";

/**
 * Tells what changes at a path of a container, as a process of the container would see it, by inotify(7). After the arguments of
 * `enterContainer`: `watch`, path, `1` for all that is below.
 *
 * Prints records that end with NUL: `ready`, once it watches, then `created PATH`, `modified PATH`, `removed PATH` and
 * `overflow PATH`. It ends when what it watches is gone.
 */
export const watchProgram: string = String.raw`${enterContainer}
my ($recursive) = @more;
my ($deepest, $most) = (500, 65_536);
my ($modify, $attrib, $moved_from, $moved_to, $create, $delete, $delete_self) = (2, 4, 0x40, 0x80, 0x100, 0x200, 0x400);
my ($queue_overflow, $ignored, $only_directory, $no_follow, $is_directory) = (0x4000, 0x8000, 0x1000000, 0x2000000, 0x40000000);
my $wanted = $modify | $attrib | $moved_from | $moved_to | $create | $delete | $delete_self;
$path =~ s{(?<=.)/+$}{}s;

my $waiting = "";
sub flush { write_all(\*STDOUT, $waiting, "watch"); $waiting = ""; }
sub tell_of { $waiting .= join(" ", @_) . "\0"; flush() if length $waiting >= 65_536; }
sub below { my ($place, $name) = @_; return $place eq "/" ? "/$name" : "$place/$name"; }

my $close_on_exec = 0x80000;
my $descriptor = call("inotify_init1", $close_on_exec);
sub check_room {
  fail("limit", "this user may watch no more (fs.inotify.max_user_instances, max_user_watches)") if $! == $n{EMFILE} || $! == $n{ENOSPC}; }
if ($descriptor < 0) { check_room(); fail("watch"); }
open(my $events, "<&=", $descriptor) or fail("watch");
# By number of the watch; and what was told of before its event came.
my (%place, %told);
sub watch { my ($place, $flags) = @_;
  if (keys %place >= $most) { $! = $n{EINVAL}; fail("limit", "there are more than $most directories"); }
  my $number = call("inotify_add_watch", $descriptor, $place, $wanted | $flags);
  if ($number >= 0) { $place{$number} = $place; return $number; }
  check_room();
  return; }
# Watches a directory that was found, and those below. What was made in it before is told of, when it is new.
sub follow { my ($start, $is_new) = @_;
  my @open = ([$start, 0]);
  while (my $next = pop @open) {
    my ($at, $depth) = @$next;
    my $number = $depth || $is_new ? watch($at, $only_directory | $no_follow) : watch($at, 0);
    if (!defined $number) {
      next if $! == $n{ENOENT} || $! == $n{ENOTDIR};
      fail("watch", $at) unless $is_new;
      tell_of("overflow", $path); next; }
    next unless $recursive && $depth < $deepest;
    opendir(my $list, $at) or next;
    while (defined(my $name = readdir $list)) {
      next if $name eq "." || $name eq "..";
      my $one = below($at, $name);
      if ($is_new) { tell_of("created", $one); $told{"$number/$name"} = 1; }
      push @open, [$one, $depth + 1] if !-l $one && -d _; } } }
# What was moved away is seen no more, wherever it is now.
sub unwatch { my ($gone) = @_;
  for my $number (keys %place) {
    next unless $place{$number} eq $gone || index($place{$number}, "$gone/") == 0;
    delete $place{$number};
    call("inotify_rm_watch", $descriptor, $number + 0); } }

my $root = watch($path, 0);
defined $root or fail("watch");
follow($path, 0) if $recursive && -d $path;
tell_of("ready");
flush();
while (exists $place{$root}) {
  my $got = sysread($events, my $data, 65_536);
  if (!defined $got) { next if $! == $n{EINTR}; fail("watch"); }
  while (length $data >= 16) {
    my ($number, $mask, undef, $length) = unpack("l L3", $data);
    my $name = unpack("Z*", substr($data, 16, $length));
    substr($data, 0, 16 + $length, "");
    if ($mask & $queue_overflow) {
      tell_of("overflow", $path);
      follow($path, 0) if $recursive;
      next; }
    my $directory = $place{$number};
    next unless defined $directory;
    if ($mask & $ignored) { delete $place{$number}; next; }
    my $one = length $name ? below($directory, $name) : $directory;
    my $was_told = delete $told{"$number/$name"};
    if ($mask & ($create | $moved_to)) {
      next if $was_told;
      tell_of("created", $one);
      follow($one, 1) if $recursive && $mask & $is_directory; }
    elsif ($mask & ($delete | $moved_from)) {
      tell_of("removed", $one);
      unwatch($one) if $mask & $moved_from && $mask & $is_directory; }
    elsif ($mask & $delete_self) { tell_of("removed", $one) if $number == $root; }
    elsif ($mask & ($modify | $attrib) && !($mask & $is_directory)) { tell_of("modified", $one); } }
  flush();
  vec(my $ready = "", fileno $events, 1) = 1;
  %told = () unless select($ready, undef, undef, 0); }
flush();
exit 0;
`;
