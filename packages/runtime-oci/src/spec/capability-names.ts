/**
 * Linux' capabilities, each at the place that is its number.
 *
 * @see https://man7.org/linux/man-pages/man7/capabilities.7.html
 */
export const capabilityNames = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** A capability without `CAP_`. */
export type CapabilityName = (typeof capabilityNames)[number];

/** What containers get unless told otherwise: the list of Docker and containerd. */
export const defaultCapabilities: readonly CapabilityName[] = [
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
];

/** The mask of names with `CAP_`; those that are not known are left out. */
export function capabilityMask(names: readonly string[]): bigint {
  const wanted = new Set(names);
  return capabilityNames.reduce(
    (mask, name, bit) => (wanted.has(`CAP_${name}`) ? mask | (1n << BigInt(bit)) : mask),
    0n,
  );
}

/** The capabilities of a mask as `/proc/PID/status` shows it, in hexadecimal. Bits without a name are left out. */
export function parseCapabilityMask(hex: string): ReadonlySet<CapabilityName> {
  const mask = BigInt(`0x${hex}`);
  return new Set(capabilityNames.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n));
}
