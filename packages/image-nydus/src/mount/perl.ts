import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { findCommand, type Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";

/**
 * Node has no mount(2), no extended attributes and no device nodes. Every Debian has Perl, which can make any system call,
 * so short Perl programs do these few things. They come from constants; arguments never pass a shell.
 */

/** Numbers of the system calls that differ between processors. */
const callNumbers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: {
    mount: 165,
    prctl: 157,
    umount2: 166,
    lsetxattr: 189,
    getxattr: 191,
    listxattr: 194,
    mknodat: 259,
    fchownat: 260,
    unshare: 272,
    utimensat: 280,
    statx: 332,
  },
  arm64: {
    mount: 40,
    prctl: 167,
    umount2: 39,
    lsetxattr: 6,
    getxattr: 8,
    listxattr: 11,
    mknodat: 33,
    fchownat: 54,
    unshare: 97,
    utimensat: 88,
    statx: 291,
  },
};
// RISC-V and LoongArch use the generic numbers, as 64-bit ARM does.
const architectures: Readonly<Record<string, string>> = { riscv64: "arm64", loong64: "arm64" };

/**
 * How every program begins: the numbers by name, and a way to fail that this side understands. It ends with the process
 * that started it (PR_SET_PDEATHSIG, SIGKILL), so that nothing is mounted after somebody has cleaned up behind that.
 */
const prologue = String.raw`
use strict; use warnings;
our %call = split /[=,]/, shift @ARGV;
my $parent = delete $call{parent};
syscall($call{prctl}+0, 1, 9, 0, 0, 0); exit 1 if getppid() != $parent;
sub fail { my ($step, $more) = @_; my $errno = $! + 0;
  print STDERR "$errno\0$step\0", $more // ""; exit 1; }
`;

/** The Perl of this machine. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` when there is none */
export async function findPerl(): Promise<string> {
  const perl = await findCommand("perl", `${process.env["PATH"] ?? ""}:/usr/bin:/bin`);
  if (perl !== undefined) return perl;
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    "Perl is needed to mount and to unpack images; install the package perl-base.",
    { details: { missing: "perl" } },
  );
}

/** Options that make a Perl run one of our programs. @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` */
export function perlArguments(program: string, args: readonly string[]): string[] {
  const numbers = callNumbers[architectures[process.arch] ?? process.arch];
  if (numbers === undefined || process.platform !== "linux") {
    throw new LongshoreError(
      "RUNTIME_NOT_SUPPORTED",
      `Mounting is not supported on ${process.platform} ${process.arch}.`,
      { details: { platform: process.platform, arch: process.arch } },
    );
  }
  const table = Object.entries({ ...numbers, parent: process.pid }).map(
    ([name, number]) => `${name}=${number}`,
  );
  return ["-e", prologue + program, "--", table.join(","), ...args];
}

export interface RunPerlOptions extends Abortable {
  /** Said of what failed, e.g. `"mount /data/root"` */
  readonly what: string;
  /** Open file that the program finds as number 3 */
  readonly inherit?: number | undefined;
}

const maxOutput = 65_536;

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws {LongshoreError} `IO_ERROR` with the failing step and the error's name in its details
 */
export async function runPerl(
  program: string,
  args: readonly string[],
  { what, inherit, signal }: RunPerlOptions,
): Promise<string> {
  signal?.throwIfAborted();
  const perl = await findPerl();
  const stdio: StdioOptions = ["ignore", "pipe", "pipe"];
  if (inherit !== undefined) stdio.push(inherit);
  const child = spawn(perl, perlArguments(program, args), {
    cwd: "/",
    stdio,
    env: { LC_ALL: "C" },
  });
  // A mount is one system call and not worth interrupting half-way: whoever aborts undoes it afterwards.
  const output = collect(child.stdout);
  const failure = collect(child.stderr);
  const exitCode = await exitOf(child);
  if (exitCode === 0) return output();
  throw perlError(what, failure());
}

/** Resolves when the process and its pipes have ended. Rejects when it could not be started. */
export async function exitOf(child: ChildProcess): Promise<number | null> {
  const [exitCode] = (await once(child, "close")) as [number | null];
  return exitCode;
}

/** Keeps what a stream says, up to a bound. */
export function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  let room = maxOutput;
  stream?.on("data", (chunk: Buffer) => {
    if (room > 0) chunks.push(chunk.subarray(0, room));
    room -= chunk.length;
  });
  return () => Buffer.concat(chunks).toString();
}

/** The error that a program reported as it ended. */
export function perlError(what: string, report: string): LongshoreError {
  const [number = "", step, ...rest] = report.split("\0");
  const details = rest.join(" ").trim();
  if (step === undefined || !/^\d+$/.test(number)) {
    return new LongshoreError("IO_ERROR", `Could not ${what}: ${report.trim()}`);
  }
  const errno = errorName(Number(number));
  const reason = [step, errno, details].filter((part) => part !== "").join(": ");
  return new LongshoreError("IO_ERROR", `Could not ${what}: ${reason}`, {
    details: { errno, step, ...(details !== "" && { kernel: details }) },
  });
}

const errorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);

function errorName(number: number): string {
  // Node knows only those that libuv maps.
  const others: Readonly<Record<number, string>> = { 15: "ENOTBLK", 117: "EUCLEAN" };
  return errorNames.get(number) ?? others[number] ?? `errno ${number}`;
}

/** Whether a failure was that system error. */
export function failedWith(error: unknown, errno: string): boolean {
  return error instanceof LongshoreError && error.details?.["errno"] === errno;
}
