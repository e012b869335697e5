import type { LinuxContainerSecurityContext } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** Bits of capabilities(7). */
const bits = {
  CHOWN: 0,
  NET_BIND_SERVICE: 10,
  NET_ADMIN: 12,
  NET_RAW: 13,
  SYS_CHROOT: 18,
  SYS_PTRACE: 19,
  SYS_ADMIN: 21,
  MKNOD: 27,
} as const;

/** CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, SYS_CHROOT, MKNOD,
 * AUDIT_WRITE, SETFCAP: what container runtimes give by default */
const defaultSet = 0xa80425fbn;

async function capabilities(
  tools: RuntimeCase,
  container: CaseContainer,
  line: "CapEff" | "CapBnd" | "CapInh" = "CapEff",
): Promise<bigint> {
  const text = await tools.sh(container, `grep ^${line}: /proc/self/status`);
  return BigInt(`0x${text.split(/\s+/)[1] ?? ""}`);
}

function has(set: bigint, name: keyof typeof bits): boolean {
  return (set & (1n << BigInt(bits[name]))) !== 0n;
}

export const capabilityCases: CaseGroup = (check) => {
  const capable = needing(check, "capabilities");
  const launch = (tools: RuntimeCase, security: LinuxContainerSecurityContext) =>
    tools.launch({ security });

  capable("gives the usual capabilities, and no more", async (tools) => {
    const container = await tools.launch();
    for (const line of ["CapEff", "CapBnd"] as const) {
      const set = await capabilities(tools, container, line);
      expect((set & ~defaultSet).toString(16), line).toBe("0");
      expect(has(set, "CHOWN"), line).toBe(true);
    }
    expect(await capabilities(tools, container, "CapInh")).toBe(0n);
  });

  capable("takes all capabilities away", async (tools) => {
    const container = await launch(tools, { capabilities: { dropCapabilities: ["ALL"] } });
    expect(await capabilities(tools, container)).toBe(0n);
    expect(await capabilities(tools, container, "CapBnd")).toBe(0n);
    expect(await tools.trySh(container, "chown 1:1 /etc/passwd")).not.toMatchObject({
      exitCode: 0,
    });
  });

  capable("takes one capability away", async (tools) => {
    const container = await launch(tools, { capabilities: { dropCapabilities: ["CHOWN"] } });
    const set = await capabilities(tools, container);
    expect([has(set, "CHOWN"), has(set, "SYS_CHROOT")]).toEqual([false, true]);
  });

  capable("adds a capability, also after all were taken away", async (tools) => {
    const added = { addCapabilities: ["NET_ADMIN"] };
    const one = await launch(tools, { capabilities: added });
    expect(has(await capabilities(tools, one), "NET_ADMIN")).toBe(true);
    expect(has(await capabilities(tools, one), "SYS_ADMIN")).toBe(false);
    const two = await launch(tools, { capabilities: { ...added, dropCapabilities: ["ALL"] } });
    expect(await capabilities(tools, two)).toBe(1n << BigInt(bits.NET_ADMIN));
  });

  capable("adds all capabilities but one", async (tools) => {
    const container = await launch(tools, {
      capabilities: { addCapabilities: ["ALL"], dropCapabilities: ["SYS_PTRACE"] },
    });
    const set = await capabilities(tools, container);
    expect([has(set, "SYS_ADMIN"), has(set, "SYS_PTRACE")]).toEqual([true, false]);
  });

  capable("refuses a capability that nobody knows", async (tools) => {
    const pod = await tools.pod();
    const security = { capabilities: { addCapabilities: ["FLY"] } };
    await expect(tools.create(pod, { security })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  needing(
    check,
    "capabilities",
    "users",
  )("gives a user no effective capabilities", async (tools) => {
    const container = await launch(tools, { runAsUser: 1000 });
    expect(await capabilities(tools, container)).toBe(0n);
  });

  needing(
    check,
    "capabilities",
    "users",
  )("gives a user a capability when asked", async (tools) => {
    const container = await launch(tools, {
      runAsUser: 1000,
      capabilities: {
        addCapabilities: ["NET_BIND_SERVICE"],
        addAmbientCapabilities: ["NET_BIND_SERVICE"],
      },
    });
    expect(await capabilities(tools, container)).toBe(1n << BigInt(bits.NET_BIND_SERVICE));
  });

  check("refuses a privileged container in a sandbox that is not", async (tools) => {
    const pod = await tools.pod();
    await expect(tools.create(pod, { security: { privileged: true } })).rejects.toMatchObject({
      code: expect.stringMatching(/^(VALIDATION_ERROR|RUNTIME_NOT_SUPPORTED|POLICY_DENIED)$/),
    });
  });

  needing(
    check,
    "privileged",
    "capabilities",
  )("gives a privileged container all", async (tools) => {
    const pod = await tools.pod({ linux: { securityContext: { privileged: true } } });
    const container = await tools.launch({ security: { privileged: true } }, pod);
    expect(has(await capabilities(tools, container), "SYS_ADMIN")).toBe(true);
    expect(await tools.sh(container, "grep ^Seccomp: /proc/self/status")).toMatch(/:\s*0$/);
    await tools.sh(container, "mkdir /m && mount -t tmpfs none /m && : > /m/file");
    // Privilege is asked for by each container.
    const plain = await tools.launch({}, pod);
    expect(has(await capabilities(tools, plain), "SYS_ADMIN")).toBe(false);
  });
};
