import { execFileSync } from "node:child_process";
import { mkdir, readFile, rename, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseMountInfo, type MountInfo } from "../../src/spec/mount-info.ts";
import { canRun, openBundle, type Bundle } from "./run-container.ts";
import type { SpecOptions } from "./spec-input.ts";

describe.skipIf(!canRun)("mounts that runc makes (need root, runc and busybox)", () => {
  let bundle: Bundle;
  let data: string;
  beforeAll(async () => {
    bundle = await openBundle();
    data = join(bundle.path, "data");
    await mkdir(join(data, "sub"), { recursive: true });
    await writeFile(join(data, "file"), "of the host");
  });
  afterAll(() => bundle[Symbol.asyncDispose]());

  const mounted = async (options: SpecOptions): Promise<ReadonlyMap<string, MountInfo>> => {
    const { stdout, stderr } = await bundle.run("cat /proc/self/mountinfo", options);
    expect(stderr).toBe("");
    return new Map(parseMountInfo(stdout).map((mount) => [mount.mountPoint, mount]));
  };

  it("hides and protects what tells of the machine or changes it", async () => {
    const { stdout } = await bundle.run(
      `for file in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do
         test -e $file && head -c 1 $file | wc -c
       done
       ls -A /sys/firmware | wc -l
       touch /sys/x /sys/fs/cgroup/x 2>&1 | grep -vc Read-only
       for file in /proc/sys/kernel/hostname /proc/sysrq-trigger; do echo x 2>/dev/null > $file && echo wrote; done
       mount -t proc none /tmp && echo mounted`,
    );
    expect(new Set(stdout.split("\n"))).toEqual(new Set(["0", ""]));
  });

  it("lets a privileged container see and change them", async () => {
    const { stdout } = await bundle.run(
      `ls -A /proc/acpi /proc/keys | wc -l; test -w /proc/sys/kernel/hostname && echo writable
       grep -c ' /proc/' /proc/self/mountinfo; grep -E ' /sys (ro|rw)' /proc/self/mountinfo | cut -d' ' -f6 | cut -c1-2
       test -b /dev/vda -o -c /dev/fuse -o -c /dev/kmsg && echo devices`,
      { security: { privileged: true } },
    );
    expect(stdout.split("\n").slice(1)).toEqual(["writable", "0", "rw", "devices", ""]);
  });

  it("hides what the configuration names instead, and the target of a link", async () => {
    await writeFile(join(bundle.rootPath, "etc/secret"), "secret");
    await symlink("secret", join(bundle.rootPath, "etc/link"));
    const { stdout } = await bundle.run(
      "cat /etc/secret; cat /etc/link; head -c1 /proc/interrupts | wc -c; touch /work/x 2>&1",
      { security: { maskedPaths: ["/etc/link"], readonlyPaths: ["/work"] } },
    );
    expect(stdout).toBe("1\ntouch: /work/x: Read-only file system\n");
  });

  it("has a read-only root, with writable places for what needs them", async () => {
    const { stdout } = await bundle.run(
      "touch /x 2>&1; touch /dev/x /dev/shm/x /data/x && echo fine; (echo x > /etc/hosts) 2>&1 | grep -o Read-only",
      {
        security: { readonlyRootfs: true },
        config: {
          mounts: [{ hostPath: data, containerPath: "/data" }],
          linux: { securityContext: { readonlyRootfs: true } },
        },
        input: { files: { hosts: join(data, "file") } },
      },
    );
    expect(stdout).toBe("touch: /x: Read-only file system\nfine\nRead-only\n");
  });

  it("shows the files of the sandbox, at the end of links too", async () => {
    await unlink(join(bundle.rootPath, "etc/resolv.conf")).catch(() => undefined);
    await symlink("../run/resolve/stub.conf", join(bundle.rootPath, "etc/resolv.conf"));
    const file = join(data, "file");
    const { stdout } = await bundle.run(
      "cat /etc/hosts /etc/resolv.conf /etc/hostname; ls /dev/shm",
      {
        input: { files: { hosts: file, resolvConf: file, hostname: file, shm: join(data) } },
      },
    );
    expect(stdout).toBe(`${"of the host".repeat(3)}file\nsub\nx\n`);
  });

  it("have the options that are asked for", async () => {
    const mounts = await mounted({
      config: {
        mounts: [
          { hostPath: data, containerPath: "/data/deep", readonly: true },
          {
            hostPath: data,
            containerPath: "/data",
            mountOptions: ["noexec", "nodev", "nosuid"],
          },
          { hostPath: join(data, "file"), containerPath: "/file", readonly: true },
        ],
      },
    });
    expect(mounts.get("/data")?.options).toEqual(
      expect.arrayContaining(["rw", "noexec", "nodev", "nosuid"]),
    );
    expect(mounts.get("/data/deep")?.options).toEqual(expect.arrayContaining(["ro"]));
    expect(mounts.get("/file")).toMatchObject({ isShared: false, isSlave: false });
  });

  it("are read-only with all that is below them, when asked", async () => {
    execFileSync("mount", ["-t", "tmpfs", "below", join(data, "sub")]);
    try {
      const script = "touch /plain/sub/a && echo wrote; touch /whole/sub/b 2>&1";
      const { stdout } = await bundle.run(script, {
        config: {
          mounts: [
            { hostPath: data, containerPath: "/plain", readonly: true },
            { hostPath: data, containerPath: "/whole", readonly: true, recursiveReadOnly: true },
          ],
        },
      });
      expect(stdout).toBe("wrote\ntouch: /whole/sub/b: Read-only file system\n");
    } finally {
      execFileSync("umount", [join(data, "sub")]);
    }
  });

  it("pass mounts on from the host, and to the host, when asked", async () => {
    const shared = join(bundle.path, "shared");
    await mkdir(shared);
    execFileSync("mount", ["-t", "tmpfs", "shared", shared]);
    try {
      execFileSync("mount", ["--make-shared", shared]);
      await mkdir(join(shared, "from"));
      const run = async (propagation: "private" | "hostToContainer" | "bidirectional") => {
        const security = { privileged: true };
        const { stdout, stderr } = await bundle.run(
          `mount -t tmpfs inner /shared/from && grep ' /shared ' /proc/self/mountinfo`,
          {
            security,
            config: {
              mounts: [{ hostPath: shared, containerPath: "/shared", propagation }],
              linux: { securityContext: security },
            },
          },
        );
        expect(stderr).toBe("");
        const [mount] = parseMountInfo(stdout);
        const host = await readFile("/proc/self/mounts", "utf8");
        const isSeen = host.includes(`inner ${shared}/from`);
        if (isSeen) execFileSync("umount", [join(shared, "from")]);
        return { isShared: mount?.isShared, isSlave: mount?.isSlave, isSeen };
      };
      expect(await run("private")).toEqual({ isShared: false, isSlave: false, isSeen: false });
      expect(await run("hostToContainer")).toMatchObject({ isSlave: true, isSeen: false });
      expect(await run("bidirectional")).toMatchObject({ isShared: true, isSeen: true });
    } finally {
      execFileSync("umount", ["-R", shared]);
    }
  });

  it("end up inside the root, wherever links of the image point", async () => {
    await symlink("/", join(bundle.rootPath, "up"));
    await symlink("../../../../../../etc", join(bundle.rootPath, "out"));
    const { stdout, spec } = await bundle.run("cat /etc/owned/file", {
      config: { mounts: [{ hostPath: data, containerPath: "/up/out/owned" }] },
    });
    expect(stdout).toBe("of the host");
    expect(spec.mounts.map(({ destination }) => destination)).toContain("/etc/owned");
    await expect(readFile("/etc/owned/file")).rejects.toThrow("ENOENT");
  });

  it("show a device only with the permissions it was given", async () => {
    const script = `mknod /tmp/own c 10 229 || echo no mknod
      for device in /dev/it /tmp/own; do
        (: < $device) 2>/dev/null && echo read
        (: > $device) 2>/dev/null && echo write
      done; rm -f /tmp/own`;
    const run = async (permissions?: string) => {
      const devices =
        permissions === undefined
          ? []
          : [{ hostPath: "/dev/fuse", containerPath: "/dev/it", permissions }];
      const { stdout } = await bundle.run(script, { config: { devices } });
      return stdout.trim().split("\n");
    };
    expect(await run("r")).toEqual(["read", "read"]);
    expect(await run("rw")).toEqual(["read", "write", "read", "write"]);
    // /dev is the container's own, so a write makes a file there.
    expect(await run()).toEqual(["write"]);
  });

  it("stay inside where an image has links for /proc, /sys and /dev", async () => {
    const started: Record<string, boolean> = {};
    for (const name of ["proc", "sys", "dev"]) {
      await rename(join(bundle.rootPath, name), join(bundle.rootPath, "kept"));
      await symlink("../../../../../../../etc", join(bundle.rootPath, name));
      const { stdout, stderr } = await bundle.run("test -c /etc/null && echo inside");
      const isStarted = stdout === "inside\n";
      if (!isStarted) expect(stderr).toContain("must be mounted on ordinary directory");
      started[name] = isStarted;
      await unlink(join(bundle.rootPath, name));
      await rename(join(bundle.rootPath, "kept"), join(bundle.rootPath, name));
    }
    // A link for /dev leads to the image's own /etc.
    expect(started).toEqual({ proc: false, sys: false, dev: true });
  });
});
