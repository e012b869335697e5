/**
 * Part of the helper: a copy of the OCI runtime in sealed memory, which whatever the helper forks can execute. A runtime that
 * enters a container first makes sure that the container cannot write to its executable: it copies or mounts it anew, and
 * executes that. From memory that nobody can write to it goes on at once.
 *
 * @see https://github.com/opencontainers/runc/blob/v1.1.5/libcontainer/nsenter/cloned_binary.c `is_self_cloned`
 * @see https://man7.org/linux/man-pages/man2/memfd_create.2.html
 */
export const runtimeCopy: string = String.raw`
my ($copy, $copied, $copied_path);
sub identity { my ($file) = @_;
  my @stat = stat $file or return "";
  # Device, inode, size, and when it and its attributes changed.
  return join ",", @stat[0, 1, 7, 9, 10]; }
# Without it everything works as well: a kernel may forbid to execute memory, and what is no program cannot be read from there.
sub copy_runtime { my ($path) = @_;
  # SELinux knows the runtime, and what it may do, by the label of its file.
  return if -e "/sys/fs/selinux/enforce";
  sysopen(my $source, $path, $n{O_RDONLY}) or return;
  my $before = identity($source);
  my ($name, $close_on_exec, $sealable, $executable) = ("longshore-runtime", 1, 2, 16);
  my $fd = call("memfd_create", $name, $close_on_exec | $sealable | $executable);
  # Kernels before 6.3 do not know the last flag, and need none.
  $fd = call("memfd_create", $name, $close_on_exec | $sealable) if $fd < 0;
  return if $fd < 0;
  open(my $file, "+<&=", $fd) or return;
  my $is_program;
  while (1) {
    my $got = sysread($source, my $data, 1_048_576);
    if (!defined $got) { next if later(); return; }
    last if !$got;
    $is_program //= $data =~ /^\x7fELF/;
    return unless $is_program && (syswrite($file, $data) // 0) == $got; }
  my ($add_seals, $seal, $shrink, $grow, $write) = (1_033, 1, 2, 4, 8);
  fcntl($file, $add_seals, $seal | $shrink | $grow | $write) or return;
  # One that was replaced meanwhile is not what was copied.
  return unless $is_program && identity($path) eq $before;
  ($copy, $copied, $copied_path) = ($file, $before, $path); }
# Path of the copy, as long as it is that of what lies at the path now.
sub runtime_copy { my ($path) = @_;
  return undef unless $copy && $path eq $copied_path && identity($path) eq $copied;
  return "/proc/self/fd/" . fileno $copy; }
`;
