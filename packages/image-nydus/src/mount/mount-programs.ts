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

/** fsopen(2) and what follows it; the kernel's own words on a failure go into the report. */
const contextFunctions = String.raw`
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

/**
 * Mounts an EROFS image with its devices through fsopen(2): each device is a call of its own, so neither their number nor a
 * comma in a path matters, and the kernel says what it does not like. Arguments: how, target, image, devices.
 *
 * With "loop" each file gets a loop device, which the kernel takes back by itself when nothing uses it any more, also when
 * this program dies in the middle. An empty target makes the filesystem, and with that proves it can be, but shows it
 * nowhere.
 */
export const erofsProgram: string = String.raw`${contextFunctions}
my ($how, $target, $image, @devices) = @ARGV;
my @held;
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

open_context("erofs");
my $ro = "ro";
check("option ro", syscall(431, $context, 0, $ro, 0, 0));
set("source", source($image, 0));
set("device", source($_, 1)) for @devices;
create();
exit 0 if $target eq "";
my $nodev = 4; my $read_only = 1;
my $mount = check("fsmount", syscall(432, $context, 1, $read_only | $nodev));
my $empty = ""; my $here = -100; my $empty_path = 4;
check("attach", syscall(429, $mount, $empty, $here, $target, $empty_path));
`;
