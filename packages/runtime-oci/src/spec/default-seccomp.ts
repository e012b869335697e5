import type { CapabilityName } from "./capability-names.ts";
import type { OciSeccomp, OciSyscall, OciSyscallArg } from "./oci-spec.ts";
import { allowedSyscalls, capabilitySyscalls, deniedSyscalls } from "./seccomp-syscalls.ts";
import { unsupported } from "./spec-error.ts";

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** The architecture of the machine first, then those whose programs its kernel runs as well. */
const architectures: Readonly<Record<string, readonly string[]>> = {
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
};

/**
 * The profile that `runtimeDefault` stands for. What is known and not allowed fails with EPERM; what is unknown fails with
 * ENOSYS, as on an older kernel, so that C libraries fall back to what they used before.
 *
 * @param architecture as `process.arch`
 * @param held capabilities of the container
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for an architecture that the profile was not made for
 */
export function defaultSeccomp(
  architecture: string,
  held: ReadonlySet<CapabilityName>,
): OciSeccomp {
  const known = Object.hasOwn(architectures, architecture)
    ? architectures[architecture]
    : undefined;
  if (known === undefined) {
    throw unsupported("seccomp", `There is no default seccomp profile for ${architecture}.`);
  }
  const isGranted = ({ capabilities }: { capabilities: readonly CapabilityName[] }): boolean =>
    capabilities.some((name) => held.has(name));
  const granted = capabilitySyscalls.filter(isGranted).flatMap(({ names }) => names);
  const refused = capabilitySyscalls
    .filter((group) => !isGranted(group))
    .flatMap(({ names }) => names)
    // Its flags lie in memory, which a filter cannot read: without the call, C libraries use clone.
    .filter((name) => name !== "clone3");
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: ENOSYS,
    architectures: known,
    syscalls: [
      allow([...allowedSyscalls, ...granted]),
      deny([...deniedSyscalls, ...refused], EPERM),
      ...namespaceRules(held.has("SYS_ADMIN")),
      ...personalityRules(),
      ...socketRules(),
    ],
  };
}

/** Flags of clone(2) and unshare(2) that make a namespace. `CLONE_NEWTIME` shares its bit with clone's exit signal. */
const namespaceFlags = [
  0x00_02_00_00, // CLONE_NEWNS
  0x02_00_00_00, // CLONE_NEWCGROUP
  0x04_00_00_00, // CLONE_NEWUTS
  0x08_00_00_00, // CLONE_NEWIPC
  0x10_00_00_00, // CLONE_NEWUSER
  0x20_00_00_00, // CLONE_NEWPID
  0x40_00_00_00, // CLONE_NEWNET
];
const CLONE_NEWTIME = 0x00_00_00_80;

function namespaceRules(isAdmin: boolean): readonly OciSyscall[] {
  if (isAdmin) return [allow(["clone", "unshare"])];
  return [
    ...flagRules("clone", namespaceFlags),
    ...flagRules("unshare", [...namespaceFlags, CLONE_NEWTIME]),
  ];
}

/** Allows a call whose first argument has none of the flags, and denies it with any. */
function flagRules(name: string, flags: readonly number[]): readonly OciSyscall[] {
  const all = flags.reduce((sum, flag) => sum + flag, 0);
  return [
    allow([name], masked(all, 0)),
    ...flags.map((flag) => deny([name], EPERM, masked(flag, flag))),
  ];
}

/**
 * Linux, Linux with an old release name, each with 32 bits or not, and asking. Others turn off what protects programs,
 * e.g. random addresses.
 */
const personalities = [0x0, 0x00_08, 0x2_00_00, 0x2_00_08, 0xff_ff_ff_ff];

function personalityRules(): readonly OciSyscall[] {
  return personalities.map((persona) =>
    allow(["personality"], { index: 0, value: persona, op: "SCMP_CMP_EQ" }),
  );
}

const AF_ALG = 38;
const AF_VSOCK = 40;

/**
 * Sockets of all families but AF_VSOCK, which no namespace keeps from the hypervisor, and AF_ALG, which lets programs into
 * the kernel's cryptography. 32-bit x86 programs can get around that by socketcall(2), without which they have no network.
 */
function socketRules(): readonly OciSyscall[] {
  const family = (op: OciSyscallArg["op"], value: number): OciSyscallArg => ({
    index: 0,
    value,
    op,
  });
  return [
    allow(["socket"], family("SCMP_CMP_LT", AF_ALG)),
    allow(["socket"], family("SCMP_CMP_EQ", AF_ALG + 1)),
    allow(["socket"], family("SCMP_CMP_GT", AF_VSOCK)),
    deny(["socket"], EAFNOSUPPORT, family("SCMP_CMP_EQ", AF_ALG)),
    deny(["socket"], EAFNOSUPPORT, family("SCMP_CMP_EQ", AF_VSOCK)),
  ];
}

function masked(mask: number, value: number): OciSyscallArg {
  return { index: 0, value: mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" };
}

function allow(names: readonly string[], arg?: OciSyscallArg): OciSyscall {
  return { names, action: "SCMP_ACT_ALLOW", ...(arg && { args: [arg] }) };
}

function deny(names: readonly string[], errnoRet: number, arg?: OciSyscallArg): OciSyscall {
  return { names, action: "SCMP_ACT_ERRNO", errnoRet, ...(arg && { args: [arg] }) };
}
