import { execFileSync } from "node:child_process";
import { symlink, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRun, openBundle, type Bundle } from "./run-container.ts";
import type { SpecOptions } from "./spec-input.ts";

/** Numbers of system calls on this architecture, as strace(1) knows them. */
const numbers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: {
    clone: 56,
    personality: 135,
    unshare: 272,
    socket: 41,
    add_key: 248,
    mount: 165,
    chroot: 161,
  },
  arm64: {
    clone: 220,
    personality: 92,
    unshare: 97,
    socket: 198,
    add_key: 217,
    mount: 40,
    chroot: 51,
  },
};
/** The same on all. */
const newer = { io_uring_setup: 425, clone3: 435, unknown: 4_000 };

const CLONE_NEWUSER = 0x10_00_00_00;
const CLONE_NEWTIME = 0x80;
const CLONE_FILES = 0x400;

describe.skipIf(!canRun)("the filter of system calls (needs root, runc and busybox)", () => {
  let bundle: Bundle;
  beforeAll(async () => {
    bundle = await openBundle();
    for (const name of ["lib", "lib64"]) await symlink(`usr/${name}`, join(bundle.rootPath, name));
  });
  afterAll(() => bundle[Symbol.asyncDispose]());

  /** Makes one call in a container by the machine's own Perl, and says which error came of it. */
  const call = async (
    name: string,
    args: readonly number[] = [],
    security: SpecOptions["security"] = { seccomp: { profileType: "runtimeDefault" } },
  ): Promise<string> => {
    const number = { ...newer, ...numbers[process.arch] }[name];
    const { stdout, stderr } = await bundle.run(
      [
        "/usr/bin/perl",
        "-e",
        // A new process ends at once, so that only one answers.
        "my ($n, @a) = map { $_ + 0 } @ARGV; my $r = syscall($n, @a); exit 0 if $r == 0 && ($n == 56 || $n == 220); print $r == -1 ? $! + 0 : 0",
        String(number),
        ...args.map(String),
      ],
      {
        security,
        config: {
          mounts: [{ hostPath: "/usr", containerPath: "/usr", readonly: true }],
          linux: { securityContext: security },
        },
      },
    );
    expect(stderr).toBe("");
    const errno = Number(stdout);
    const found = Object.entries(constants.errno).find(([, value]) => value === errno);
    return errno === 0 ? "ok" : (found?.[0] ?? stdout);
  };

  it.each([
    { what: "an unknown call", name: "unknown", args: [], answer: "ENOSYS" },
    {
      what: "clone3, whose flags a filter cannot see",
      name: "clone3",
      args: [0, 0],
      answer: "ENOSYS",
    },
    { what: "io_uring", name: "io_uring_setup", args: [1, 0], answer: "EPERM" },
    {
      what: "keys, which have no namespace",
      name: "add_key",
      args: [0, 0, 0, 0, 0],
      answer: "EPERM",
    },
    { what: "a mount", name: "mount", args: [0, 0, 0, 0, 0], answer: "EPERM" },
    {
      what: "a new user namespace by unshare",
      name: "unshare",
      args: [CLONE_NEWUSER],
      answer: "EPERM",
    },
    {
      what: "a new namespace among other flags",
      name: "unshare",
      args: [CLONE_NEWUSER + CLONE_FILES],
      answer: "EPERM",
    },
    {
      what: "a new time namespace by unshare",
      name: "unshare",
      args: [CLONE_NEWTIME],
      answer: "EPERM",
    },
    { what: "unshare of what is no namespace", name: "unshare", args: [CLONE_FILES], answer: "ok" },
    {
      what: "a new user namespace by clone",
      name: "clone",
      args: [CLONE_NEWUSER + 17, 0, 0, 0, 0],
      answer: "EPERM",
    },
    { what: "a new process", name: "clone", args: [17, 0, 0, 0, 0], answer: "ok" },
    { what: "sockets to the hypervisor", name: "socket", args: [40, 1, 0], answer: "EAFNOSUPPORT" },
    {
      what: "sockets to the kernel's cryptography",
      name: "socket",
      args: [38, 5, 0],
      answer: "EAFNOSUPPORT",
    },
    { what: "sockets of the network", name: "socket", args: [2, 1, 0], answer: "ok" },
    { what: "sockets of the machine", name: "socket", args: [1, 1, 0], answer: "ok" },
    { what: "fixed addresses", name: "personality", args: [0x4_00_00], answer: "ENOSYS" },
    {
      what: "asking for the personality",
      name: "personality",
      args: [0xff_ff_ff_ff],
      answer: "ok",
    },
  ])("answers $what with $answer", async ({ name, args, answer }) => {
    expect(await call(name, args)).toBe(answer);
  });

  it("allows what a capability stands for with the capability", async () => {
    const security: SpecOptions["security"] = {
      seccomp: { profileType: "runtimeDefault" },
      capabilities: { addCapabilities: ["SYS_ADMIN"] },
    };
    expect(await call("unshare", [CLONE_NEWUSER], security)).toBe("ok");
    // The kernel looks at the arguments, so the filter let it through.
    expect(await call("mount", [0, 0, 0, 0, 0], security)).toBe("EFAULT");
    expect(await call("clone3", [0, 0], security)).toBe("EINVAL");
    const dropped = { ...security, capabilities: { dropCapabilities: ["SYS_CHROOT"] } };
    expect(await call("chroot", [0], dropped)).toBe("EPERM");
    expect(await call("chroot", [0])).toBe("EFAULT");
  });

  it("is absent when unconfined", async () => {
    expect(await call("unknown", [], { seccomp: { profileType: "unconfined" } })).toBe("ENOSYS");
    expect(await call("clone3", [0, 0], { seccomp: { profileType: "unconfined" } })).toBe("EINVAL");
  });

  it("is that of a file, also with calls that this machine does not know", async () => {
    const localhostRef = join(bundle.path, "profile.json");
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["personality", "no_such_call_at_all"], action: "SCMP_ACT_ERRNO", errnoRet: 13 },
      ],
    };
    await writeFile(localhostRef, JSON.stringify(profile));
    const security = { seccomp: { profileType: "localhost", localhostRef } } as const;
    expect(await call("personality", [0xff_ff_ff_ff], security)).toBe("EACCES");
    expect(await call("unshare", [CLONE_FILES], security)).toBe("ok");
  });

  it("lets ordinary programs with threads and subprocesses run", async () => {
    const script =
      "import threading,subprocess,socket,os;t=threading.Thread(target=lambda:print('thread'));t.start();t.join();" +
      "print(subprocess.check_output(['/bin/echo','sub']).decode().strip());" +
      "s=socket.socketpair();s[0].send(b'x');print(s[1].recv(1).decode(),len(os.listdir('/proc/self/fd'))>0)";
    const { stdout } = await bundle.run(["/usr/bin/python3", "-c", script], {
      config: {
        mounts: [{ hostPath: "/usr", containerPath: "/usr", readonly: true }],
        linux: { securityContext: { seccomp: { profileType: "runtimeDefault" } } },
      },
    });
    expect(stdout).toBe("thread\nsub\nx True\n");
    expect(execFileSync("/usr/bin/python3", ["-c", script]).toString()).toBe(stdout);
  });
});
