/**
 * mount(2). Arguments: source, target, type, flags, data.
 */
export const mountProgram: string = String.raw`
my ($source, $target, $type, $flags, $data) = @ARGV;
syscall($call{mount}+0, $source, $target, $type, $flags+0, $data) == 0 or fail("mount");
`;

/**
 * umount2(2), never following a link at the target (flag 8). Arguments: how, target. With "gentle" what is in use comes
 * off the tree and ends with its last user; with "force" a filesystem's own server is also cut off, at once.
 */
export const unmountProgram: string = String.raw`
my ($how, $target) = @ARGV;
my $nofollow = 8; my $force = 1; my $detach = 2;
if ($how eq "gentle") {
  exit 0 if syscall($call{umount2}+0, $target, $nofollow) == 0;
  fail("umount") unless $!{EBUSY};
}
my $flags = $nofollow | $detach | ($how eq "force" ? $force : 0);
syscall($call{umount2}+0, $target, $flags) == 0 or fail("umount");
`;

/** Shows a mount, which is an open file, at a directory. */
const attachFunction = String.raw`
sub attach { my ($mount, $target) = @_;
  my ($empty, $here, $empty_path) = ("", -100, 4);
  syscall(429, $mount, $empty, $here, $target, $empty_path) == 0 or fail("attach"); }
`;

/** fsopen(2) and what follows it; the kernel's own words on a failure go into the report. */
const contextFunctions = String.raw`${attachFunction}
my ($context, $messages);
sub open_context { my ($type) = @_;
  $context = syscall(430, $type, 1);
  fail("fsopen") if $context < 0;
  open($messages, "+<&=", $context) or fail("fsopen"); }
sub check { my ($step, $result) = @_;
  return $result if $result >= 0;
  my $errno = $!; my ($text, $line) = ("", "");
  $text .= $line while sysread($messages, $line, 4096);
  $! = $errno; fail($step, $text); }
sub set { my ($key, $value) = @_;
  check("option $key", syscall(431, $context, 1, $key, $value, 0)); }
sub create { check("mount", syscall(431, $context, 6, 0, 0, 0)); }
`;

/**
 * Makes a filesystem and shows it nowhere: it is gone when the program ends. Arguments: type, then keys and values.
 */
export const tryProgram: string = String.raw`${contextFunctions}
my ($type, @options) = @ARGV;
open_context($type);
while (my ($key, $value) = splice(@options, 0, 2)) { set($key, $value); }
create();
`;

/** An EROFS image with its devices as a filesystem that is shown nowhere yet; what it opens stays open until the program ends. */
const erofsFunctions = String.raw`${contextFunctions}
my ($how, @held);
sub hold { my ($path) = @_;
  sysopen(my $file, $path, 0) or fail("open", $path);
  -f $file or -b $file or do { $! = 22; fail("open", "$path is no file or block device") };
  push @held, $file; return $file; }
sub loop { my ($file) = @_;
  sysopen(my $control, "/dev/loop-control", 2) or fail("open", "/dev/loop-control");
  for my $try (1 .. 64) {
    my $number = ioctl($control, 0x4C82, 0) or fail("ask for a free loop device");
    $number += 0;
    sysopen(my $device, "/dev/loop$number", 0) or fail("open", "/dev/loop$number");
    my $read_only = 1; my $autoclear = 4;
    my $info = pack("Q5 L4 a64 a64 a32 Q2", 0, 0, 0, 0, 0, 0, 0, 0, $read_only | $autoclear, "", "", "", 0, 0);
    my $config = pack("L L a232 Q8", fileno($file), 0, $info, (0) x 8);
    if (ioctl($device, 0x4C0A, $config)) { push @held, $device; return "/dev/loop$number"; }
    fail("set up /dev/loop$number") unless $!{EBUSY};
  }
  fail("find a free loop device"); }
sub source { my ($path, $short) = @_;
  my $file = hold($path);
  return loop($file) if $how eq "loop";
  # A path may have 255 bytes here; the open file has a short one.
  return $short || length($path) > 255 ? "/proc/self/fd/" . fileno($file) : $path; }

sub create_erofs { my ($image, @devices) = @_;
  open_context("erofs");
  my $ro = "ro";
  check("option ro", syscall(431, $context, 0, $ro, 0, 0));
  set("source", source($image, 0));
  set("device", source($_, 1)) for @devices;
  create(); }
sub detached { my $nodev = 4; my $read_only = 1;
  return check("fsmount", syscall(432, $context, 1, $read_only | $nodev)); }
`;

/**
 * Mounts an EROFS image with its devices through fsopen(2): each device is a call of its own, so neither their number nor a
 * comma in a path matters, and the kernel says what it does not like. Arguments: target, how, image, devices.
 *
 * With "loop" each file gets a loop device, which the kernel takes back by itself when nothing uses it any more, also when
 * this program dies in the middle. An empty target makes the filesystem, and with that proves it can be, but shows it
 * nowhere.
 */
export const erofsProgram: string = String.raw`${erofsFunctions}
(my $target, $how, my @files) = @ARGV;
create_erofs(@files);
exit 0 if $target eq "";
attach(detached(), $target);
`;

/**
 * A user namespace with given mappings: a child makes it and waits, until the program ends, for nothing.
 */
const idmapFunctions = String.raw`
sub user_namespace { my %maps = @_;
  pipe(my $is_made, my $made) or fail("pipe");
  pipe(my $end, my $hold) or fail("pipe");
  my $child = fork() // fail("fork");
  if ($child == 0) {
    close($is_made); close($hold);
    my $done = syscall($call{unshare}+0, 0x10000000) == 0;
    syswrite($made, $done ? "ok" : $! + 0); close($made);
    sysread($end, my $nothing, 1);
    exit 0;
  }
  close($made); close($end);
  sysread($is_made, my $answer, 16) or fail("make a user namespace");
  if ($answer ne "ok") { $! = $answer; fail("make a user namespace") }
  for my $kind (sort keys %maps) {
    open(my $file, ">", "/proc/$child/$kind") or fail("open $kind");
    defined(syswrite($file, $maps{$kind})) or fail("write $kind");
    close($file);
  }
  open(my $namespace, "<", "/proc/$child/ns/user") or fail("open a user namespace");
  close($hold);
  waitpid($child, 0);
  return $namespace; }
sub shift_ids { my ($mount, $namespace) = @_;
  my ($empty, $empty_path, $idmap) = ("", 0x1000, 0x100000);
  my $attributes = pack("Q4", $idmap, 0, 0, fileno($namespace));
  syscall(442, $mount, $empty, $empty_path, $attributes, 32) == 0 or fail("shift ids"); }
`;

/**
 * Shows what is mounted at a directory at another one, too, with its ids shifted as for a user namespace, by
 * mount_setattr(2). Arguments: source, target, uid mappings, gid mappings.
 */
export const idmapProgram: string = String.raw`${attachFunction}${idmapFunctions}
my ($source, $target, $uids, $gids) = @ARGV;
my $namespace = user_namespace(uid_map => $uids, gid_map => $gids);
my $mount = syscall(428, -100, $source, 0x80001);
fail("clone the mount", $source) if $mount < 0;
shift_ids($mount, $namespace);
attach($mount, $target);
`;

/** A mount namespace of the program's own: whatever it mounts is gone with it. */
const ownMountsFunction = String.raw`
sub own_mounts {
  syscall($call{unshare}+0, 0x20000) == 0 or fail("make a mount namespace");
  my ($none, $root) = ("none", "/");
  syscall($call{mount}+0, $none, $root, $none, 0x44000, $none) == 0 or fail("make mounts private"); }
`;

/**
 * Tries an overlay over an EROFS image with shifted ids, where nobody sees it. The directory has the folders "shifted",
 * "upper", "work" and "merged". Arguments: directory, how, image, devices.
 */
export const tryShiftedErofsProgram: string = String.raw`${erofsFunctions}${idmapFunctions}${ownMountsFunction}
(my $place, $how, my @files) = @ARGV;
own_mounts();
create_erofs(@files);
my $mount = detached();
my $map = "0 4242 1\n";
shift_ids($mount, user_namespace(uid_map => $map, gid_map => $map));
attach($mount, "$place/shifted");
my ($overlay, $target) = ("overlay", "$place/merged");
my $options = "lowerdir=$place/shifted,upperdir=$place/upper,workdir=$place/work";
syscall($call{mount}+0, $overlay, $target, $overlay, 0, $options) == 0 or fail("mount an overlay");
my @seen = stat("$place/shifted") or fail("stat");
if ($seen[4] != 4242) { $! = 95; fail("shift ids", "the owner is $seen[4]") }
`;

/**
 * Asks the kernel whether a FUSE server may let ids be shifted: bit 40 of what it offers, since protocol 7.41. File 3 is
 * the device. Nothing is shown, and the question is not answered.
 */
export const tryShiftedFuseProgram: string = String.raw`${contextFunctions}
open_context("fuse");
my @options = (fd => 3, rootmode => 40000, user_id => 0, group_id => 0);
while (my ($key, $value) = splice(@options, 0, 2)) { set($key, "$value"); }
create();
open(my $device, "<&=", 3) or fail("open the device");
my $ready = ""; vec($ready, 3, 1) = 1;
select($ready, undef, undef, 5) > 0 or do { $! = 110; fail("ask FUSE") };
my $length = sysread($device, my $request, 65536) // fail("ask FUSE");
my $offered = $length >= 60 ? unpack("L", substr($request, 56, 4)) : 0;
unless ($offered & 0x100) { $! = 95; fail("shift ids", "Linux 6.12 is the first whose FUSE can") }
`;

/**
 * Waits until something is mounted at a target; the kernel tells of every change (poll of mountinfo). Arguments: target as
 * mountinfo shows it.
 */
export const awaitMountProgram: string = String.raw`
my ($target) = @ARGV;
open(my $mounts, "<", "/proc/self/mountinfo") or fail("open mountinfo");
while (1) {
  seek($mounts, 0, 0);
  while (my $line = <$mounts>) { exit 0 if (split / /, $line)[4] eq $target; }
  my $changed = ""; vec($changed, fileno($mounts), 1) = 1;
  select(undef, undef, $changed, undef);
}
`;
