import { constants as fileConstants } from "node:fs";
import { constants } from "node:os";
import { findCommand, LongshoreError } from "@longshore/core";

/**
 * Node has no namespaces, no mount(2), no waiting for strangers and no passing of files. Every Debian has Perl, which can
 * make any system call, so small Perl programs do these things. They come from constants; what they work on are arguments,
 * which no shell and no Perl reads as code.
 */

/** Numbers of the system calls that differ between processors. */
const callNumbers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: {
    mount: 165,
    umount2: 166,
    unshare: 272,
    setns: 308,
    pivot_root: 155,
    prctl: 157,
    recvmsg: 47,
    clock_gettime: 228,
    setresuid: 117,
    setresgid: 119,
    setgroups: 116,
    sethostname: 170,
    setsid: 112,
    close: 3,
    exit_group: 231,
    execveat: 322,
    capset: 126,
    linkat: 265,
    memfd_create: 319,
    rt_sigprocmask: 14,
    signalfd4: 289,
    inotify_init1: 294,
    inotify_add_watch: 254,
    inotify_rm_watch: 255,
  },
  arm64: {
    mount: 40,
    umount2: 39,
    unshare: 97,
    setns: 268,
    pivot_root: 41,
    prctl: 167,
    recvmsg: 212,
    clock_gettime: 113,
    setresuid: 147,
    setresgid: 149,
    setgroups: 159,
    sethostname: 161,
    setsid: 157,
    close: 57,
    exit_group: 94,
    execveat: 281,
    capset: 91,
    linkat: 37,
    memfd_create: 279,
    rt_sigprocmask: 135,
    signalfd4: 74,
    inotify_init1: 26,
    inotify_add_watch: 27,
    inotify_rm_watch: 28,
  },
};
// RISC-V and LoongArch use the generic numbers, as 64-bit ARM does.
const architectures: Readonly<Record<string, string>> = { riscv64: "arm64", loong64: "arm64" };

/** Modules that define such numbers cost more time than everything else at a program's start. */
const numbers: Readonly<Record<string, number>> = {
  EINTR: constants.errno.EINTR,
  EAGAIN: constants.errno.EAGAIN,
  EBUSY: constants.errno.EBUSY,
  EINVAL: constants.errno.EINVAL,
  EISDIR: constants.errno.EISDIR,
  ENOENT: constants.errno.ENOENT,
  ENOTDIR: constants.errno.ENOTDIR,
  ENOSPC: constants.errno.ENOSPC,
  EMFILE: constants.errno.EMFILE,
  O_RDONLY: fileConstants.O_RDONLY,
  O_WRONLY: fileConstants.O_WRONLY,
  O_CREAT: fileConstants.O_CREAT,
  O_EXCL: fileConstants.O_EXCL,
  O_NONBLOCK: fileConstants.O_NONBLOCK,
  O_NOFOLLOW: fileConstants.O_NOFOLLOW,
  O_DIRECTORY: fileConstants.O_DIRECTORY,
  logFlags:
    fileConstants.O_WRONLY |
    fileConstants.O_APPEND |
    fileConstants.O_CREAT |
    fileConstants.O_NOFOLLOW |
    fileConstants.O_NONBLOCK,
};

/** How every program begins: numbers by name, and a way to fail that this side understands. */
const prologue = String.raw`
use strict;
our %n = split /[=,]/, shift @ARGV;
# As texts they would be joined letter by letter where bits are.
$_ += 0 for values %n;
sub fail { my ($step, $more) = @_; my $errno = $! + 0;
  print STDERR "$errno\0$step\0", $more // ""; exit 1; }
# Ends at once: taking everything apart first takes longer than most programs run.
sub leave { call("exit_group", 0); }
# The arguments stay the caller's own: the kernel writes into some.
sub call { my $name = shift; return syscall($n{$name} + 0, @_); }
sub later { return $! == $n{EAGAIN} || $! == $n{EINTR}; }
sub unblock { my ($file) = @_; my $set_flags = 4; my $get_flags = 3;
  fcntl($file, $set_flags, (0 + fcntl($file, $get_flags, 0)) | $n{O_NONBLOCK}); }
sub slurp { my ($path) = @_;
  open(my $file, "<", $path) or return undef;
  local $/; return scalar <$file>; }
sub spew { my ($path, $text) = @_;
  sysopen(my $file, $path, $n{O_WRONLY}) or return 0;
  return defined syswrite($file, $text); }
`;

/** The Perl of this machine. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when there is none */
export async function findPerl(): Promise<string> {
  const perl = await findCommand("perl", `${process.env["PATH"] ?? ""}:/usr/bin:/bin`);
  if (perl !== undefined) return perl;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    "Perl is needed to run containers; install the package perl-base.",
    { details: { missing: "perl" } },
  );
}

/** Options that make a Perl run one of our programs. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` */
export function perlArguments(program: string, args: readonly string[]): string[] {
  const { text, table } = perlScript(program);
  return ["-e", text, "--", table, ...args];
}

/** One of our programs as Perl reads it, and the table that is its first argument. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` */
export function perlScript(program: string): { readonly text: string; readonly table: string } {
  return { text: prologue + program, table: numberTable() };
}

function numberTable(): string {
  const calls = callNumbers[architectures[process.arch] ?? process.arch];
  if (calls === undefined || process.platform !== "linux") {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `Containers are not supported on ${process.platform} ${process.arch}.`,
      { details: { platform: process.platform, arch: process.arch } },
    );
  }
  return Object.entries({ ...calls, ...numbers })
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}
