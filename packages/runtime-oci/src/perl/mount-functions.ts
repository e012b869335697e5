/**
 * Perl functions for a container's root filesystem: an overlay over directories that are mounted already, or one of them
 * bound to another place. Each layer is a call of its own where the kernel can (6.5); an older one gets all in one page, with
 * short names when they would not fit.
 *
 * Settings: `users` (a user namespace to mount in, for others than root), `overlay` (the target), `bind` (a directory to bind there), `lower` (layers, topmost first, parted by NUL in hex, because
 * arguments cannot hold it), `upper`, `work`.
 */
export const mountFunctions: string = String.raw`
# Who is not root has rights in its own user namespace only; mounts that it makes go with its mount namespace.
sub enter_users { my ($path) = @_;
  sysopen(my $users, $path, 0) or fail("open", $path);
  call("setns", fileno $users, 0x10000000) == 0 or fail("setns");
  call("setresgid", 0, 0, 0) == 0 or fail("setresgid");
  call("setresuid", 0, 0, 0) == 0 or fail("setresuid");
  call("unshare", 0x00020000) == 0 or fail("unshare");
  my ($none, $root, $recursive, $private) = ("none", "/", 16_384, 262_144);
  call("mount", $none, $root, $none, $recursive | $private, $none) == 0 or fail("mount", "private"); }
sub fsconfig { my ($context, $key, $value) = @_; my $set_string = 1;
  return syscall(431, $context, $set_string, $key, $value, 0) == 0; }
sub mount_overlay {
  my @lower = split /\0/, pack("H*", $setting{lower});
  my $target = $setting{overlay};
  mkdir $target, 0700;
  if (length($setting{bind} // "")) {
    my ($source, $none, $bind) = ($setting{bind}, "none", 4_096);
    call("mount", $source, $target, $none, $bind, $none) == 0 or fail("mount");
    return; }
  my $type = "overlay";
  my $context = syscall(430, $type, 1);
  if ($context >= 0) {
    open(my $held, "+<&=", $context) or fail("fsopen");
    my $layered = knows_options($type);
    for my $layer (@lower) { $layered &&= fsconfig($context, "lowerdir+", $layer); }
    if ($layered) {
      fsconfig($context, "source", "longshore") or fail("mount", "source");
      if (length $setting{upper}) {
        fsconfig($context, "upperdir", $setting{upper}) or fail("mount", "upper directory");
        fsconfig($context, "workdir", $setting{work}) or fail("mount", "work directory"); }
      # What overlays note at files of trusted attributes, others may not write.
      my ($set_flag, $user_attributes) = (0, "userxattr");
      if ($setting{users}) { syscall(431, $context, $set_flag, $user_attributes, 0, 0) == 0 or fail("mount", "userxattr"); }
      my $create = 6;
      syscall(431, $context, $create, 0, 0, 0) == 0 or fail("mount", slurp_messages($held));
      my $nothing = ""; my $here = -100; my $empty_path = 4; my $close_on_exec = 1;
      my $mount = syscall(432, $context, $close_on_exec, 0);
      fail("fsmount") if $mount < 0;
      syscall(429, $mount, $nothing, $here, $target, $empty_path) == 0 or fail("move_mount");
      return; } }
  my @upper = length $setting{upper} ? @setting{qw(upper work)} : ();
  my $data = overlay_data(\@lower, @upper);
  # One page is all that the call takes; it would cut the rest in silence. Files that are open have short names.
  my @open;
  if (length $data > 4_095) {
    my $short = sub { my ($path) = @_;
      sysopen(my $file, $path, $n{O_RDONLY} | $n{O_DIRECTORY}) or fail("open", $path);
      push @open, $file; return "/proc/self/fd/" . fileno $file; };
    $data = overlay_data([map { $short->($_) } @lower], map { $short->($_) } @upper); }
  if (length $data > 4_095) { $! = $n{EINVAL}; fail("mount", "too many layers for this kernel"); }
  my $source = "longshore";
  call("mount", $source, $target, $type, 0, $data) == 0 or fail("mount"); }
# A filesystem that was not made for these calls takes whatever it is told, and fails at the end.
sub knows_options { my ($type) = @_;
  my $context = syscall(430, $type, 1);
  return 0 if $context < 0;
  open(my $held, "+<&=", $context) or fail("fsopen");
  return !fsconfig($context, "longshore", "unknown"); }
sub overlay_data { my ($lower, $upper, $work) = @_;
  my @lower = @$lower;
  s/([\\:,])/\\$1/g for @lower;
  my $data = "lowerdir=" . join(":", @lower);
  if (defined $upper) {
    s/([\\,])/\\$1/g for $upper, $work;
    $data .= ",upperdir=$upper,workdir=$work"; }
  return $setting{users} ? "$data,userxattr" : $data; }
sub slurp_messages { my ($context) = @_; my ($text, $line) = ("", "");
  my $errno = $!;
  $text .= $line while length $text < 4_096 && sysread($context, $line, 4_096);
  $! = $errno; return $text; }
# What its users are looked up in, read as in a process whose root it is: passwd and group, each after four bytes of length.
# Nothing when that cannot be had here, which is no error: then somebody else looks.
sub accounts {
  my ($path_only, $in_root, $largest) = (010_000_000, 0x10, 65_536);
  sysopen(my $root, $setting{overlay}, $path_only | $n{O_DIRECTORY}) or return "";
  my $how = pack("Q3", $path_only, 0, $in_root);
  my $found = "";
  for my $name ("etc/passwd", "etc/group") {
    my $path = $name;
    my $fd = syscall(437, fileno $root, $path, $how, length $how);
    if ($fd < 0) { return "" unless $! == $n{ENOENT}; $found .= pack("N", 0); next; }
    open(my $entry, "<&=", $fd) or return "";
    return "" unless -f $entry && -s _ <= $largest;
    sysopen(my $file, "/proc/self/fd/$fd", 0) or return "";
    my $text = "";
    1 while length $text <= $largest && sysread($file, $text, $largest, length $text);
    return "" if length $text > $largest;
    $found .= pack("N", length $text) . $text; }
  return $found; }
sub unmount_root { my $target = $setting{overlay}; my $detach = 2; my $nofollow = 8;
  call("umount2", $target, $nofollow) == 0 or call("umount2", $target, $detach | $nofollow); }
`;
