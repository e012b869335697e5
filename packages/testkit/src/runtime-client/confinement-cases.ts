import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LinuxContainerSecurityContext } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import type { RuntimeCase } from "./runtime-case.ts";

/** What a container's processes may not do. */
export const confinementCases: CaseGroup = (check) => {
  const statusLine = async (
    tools: RuntimeCase,
    name: "Seccomp" | "NoNewPrivs",
    security: LinuxContainerSecurityContext,
  ): Promise<string> => {
    const container = await tools.launch({ security });
    const line = await tools.sh(container, `grep ^${name}: /proc/self/status`);
    return line.split(/\s+/)[1] ?? "";
  };

  const seccomp = needing(check, "seccomp");
  seccomp("filters system calls by the runtime's own profile", async (tools) => {
    const security = { seccomp: { profileType: "runtimeDefault" } } as const;
    expect(await statusLine(tools, "Seccomp", security)).toBe("2");
  });

  seccomp("filters no system calls when unconfined, and when nothing is said", async (tools) => {
    const security = { seccomp: { profileType: "unconfined" } } as const;
    expect(await statusLine(tools, "Seccomp", security)).toBe("0");
    expect(await statusLine(tools, "Seccomp", {})).toBe("0");
  });

  seccomp("filters system calls by a profile of the host", async (tools) => {
    const localhostRef = join(tools.directory, "no-mkdir.json");
    const profile = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }],
    };
    await writeFile(localhostRef, JSON.stringify(profile));
    const container = await tools.launch({
      security: { seccomp: { profileType: "localhost", localhostRef } },
    });
    expect(await tools.trySh(container, "mkdir /new")).not.toMatchObject({ exitCode: 0 });
    await tools.sh(container, ": > /new-file");
  });

  seccomp("refuses a profile that is not there, or is none", async (tools) => {
    const pod = await tools.pod();
    const broken = join(tools.directory, "broken.json");
    await writeFile(broken, "{");
    for (const localhostRef of [join(tools.directory, "missing.json"), broken, "relative.json"]) {
      const seccompProfile = { profileType: "localhost", localhostRef } as const;
      await expect(
        tools.create(pod, { security: { seccomp: seccompProfile } }),
      ).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
  });

  needing(check, "no new privileges")(
    "keeps new privileges away only when asked",
    async (tools) => {
      expect(await statusLine(tools, "NoNewPrivs", { noNewPrivs: true })).toBe("1");
      expect(await statusLine(tools, "NoNewPrivs", {})).toBe("0");
    },
  );

  needing(
    check,
    "read-only root",
    "several containers",
  )("keeps the root from being written", async (tools) => {
    const container = await tools.launch({ security: { readonlyRootfs: true } });
    for (const path of ["/new", "/etc/new", "/tmp/new"]) {
      expect(await tools.trySh(container, `: > ${path}`), path).not.toMatchObject({ exitCode: 0 });
    }
    await tools.sh(container, ": > /dev/shm/new");
    await tools.sh(await tools.launch({}, container), ": > /new");
  });

  const masked = needing(check, "masked paths", "image files");
  masked("hides what the kernel would tell about the host", async (tools) => {
    const container = await tools.launch();
    for (const path of ["/proc/kcore", "/proc/keys", "/proc/timer_list"]) {
      const script = `if [ -e ${path} ]; then head -c 1 ${path} | wc -c; else echo 0; fi`;
      expect((await tools.sh(container, script)).trim(), path).toBe("0");
    }
    expect(await tools.sh(container, "ls /sys/firmware 2>/dev/null | wc -l")).toMatch(/^\s*0$/);
  });

  masked("keeps the kernel's settings from being written", async (tools) => {
    const container = await tools.launch();
    for (const path of ["/proc/sys/kernel/panic", "/proc/sysrq-trigger", "/sys/kernel/profiling"]) {
      const script = `cat ${path} 2>/dev/null > /dev/shm/old; echo 0 > ${path}`;
      expect(await tools.trySh(container, script), path).not.toMatchObject({ exitCode: 0 });
    }
  });

  masked("hides the paths it is told, in the place of its own", async (tools) => {
    const container = await tools.launch({ security: { maskedPaths: ["/etc/passwd", "/sys"] } });
    expect(await tools.sh(container, "wc -c < /etc/passwd; ls /sys | wc -l")).toMatch(/^\s*0\s+0$/);
  });

  masked(
    "keeps the paths it is told from being written, in the place of its own",
    async (tools) => {
      const container = await tools.launch({ security: { readonlyPaths: ["/etc"] } });
      expect(await tools.trySh(container, ": > /etc/new")).not.toMatchObject({ exitCode: 0 });
      await tools.sh(container, ": > /new; cat /etc/passwd > /dev/null");
    },
  );

  needing(check, "devices")("gives no device of the host", async (tools) => {
    const container = await tools.launch();
    // Memory (1:1) and the kernel's log (1:11) of mem(4) and kmsg: neither is in the default set.
    for (const [name, minor] of [
      ["mem", 1],
      ["kmsg", 11],
    ] as const) {
      const script = `mknod /${name} c 1 ${minor} && head -c 1 /${name}`;
      expect(await tools.trySh(container, script), name).not.toMatchObject({ exitCode: 0 });
    }
    await tools.sh(
      container,
      "head -c 1 /dev/zero > /dev/null; echo x > /dev/null; ls /dev/random",
    );
  });

  needing(check, "devices")(
    "gives a device that is asked for, with these rights only",
    async (tools) => {
      const device = {
        hostPath: "/dev/loop-control",
        containerPath: "/dev/asked",
        permissions: "r",
      };
      const container = await tools.launch({ devices: [device] });
      await tools.sh(container, "[ -c /dev/asked ] && exec 3< /dev/asked");
      expect(await tools.trySh(container, "exec 3<> /dev/asked")).not.toMatchObject({
        exitCode: 0,
      });
    },
  );
};
