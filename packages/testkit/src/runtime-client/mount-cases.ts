import { access, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Mount } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { hostMounts } from "./host-mounts.ts";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** A directory of the host with one file in it. */
async function hostDirectory(tools: RuntimeCase, name = "data"): Promise<string> {
  const path = join(tools.directory, name);
  await mkdir(path, { recursive: true, mode: 0o755 });
  await writeFile(join(path, "file"), "from the host\n");
  return path;
}

async function isRefused(tools: RuntimeCase, mount: Mount): Promise<void> {
  const pod = await tools.pod();
  await expect(
    (async () => {
      await tools.runtime.startContainer(await tools.create(pod, { mounts: [mount] }));
    })(),
  ).rejects.toThrow();
  const containers = await tools.runtime.listContainers({ podSandboxId: pod.podSandboxId });
  expect(containers.map(({ state }) => state)).not.toContain("running");
}

async function cannot(tools: RuntimeCase, container: CaseContainer, script: string): Promise<void> {
  expect(await tools.trySh(container, script), script).not.toMatchObject({ exitCode: 0 });
}

export const mountCases: CaseGroup = (check) => {
  const mounted = needing(check, "mounts", "image files");

  mounted("shows a directory of the host, to be written", async (tools) => {
    const hostPath = await hostDirectory(tools);
    const container = await tools.launch({ mounts: [{ hostPath, containerPath: "/data" }] });
    expect(await tools.sh(container, "cat /data/file; echo inside > /data/new")).toBe(
      "from the host",
    );
    expect(await readFile(join(hostPath, "new"), "utf8")).toBe("inside\n");
  });

  mounted("shows a directory of the host, not to be written", async (tools) => {
    const hostPath = await hostDirectory(tools);
    const mount = { hostPath, containerPath: "/data", readonly: true };
    const container = await tools.launch({ mounts: [mount] });
    await tools.sh(container, "cat /data/file");
    for (const script of [": > /data/new", "echo x >> /data/file", "rm /data/file"]) {
      await cannot(tools, container, script);
    }
    expect(await readdir(hostPath)).toEqual(["file"]);
  });

  mounted("shows a single file of the host", async (tools) => {
    const hostPath = join(await hostDirectory(tools), "file");
    const mount = { hostPath, containerPath: "/etc/deep/config", readonly: true };
    const container = await tools.launch({ mounts: [mount] });
    expect(await tools.sh(container, "cat /etc/deep/config; ls /etc/deep")).toBe(
      "from the host\nconfig",
    );
  });

  mounted("shows mounts inside of others", async (tools) => {
    const outer = await hostDirectory(tools, "outer");
    const inner = await hostDirectory(tools, "inner");
    await mkdir(join(outer, "sub"));
    const container = await tools.launch({
      mounts: [
        { hostPath: inner, containerPath: "/data/sub", readonly: true },
        { hostPath: outer, containerPath: "/data" },
      ],
    });
    await tools.sh(container, "cat /data/sub/file; : > /data/new");
    await cannot(tools, container, ": > /data/sub/new");
  });

  mounted("follows a link of the host to the directory it means", async (tools) => {
    const target = await hostDirectory(tools);
    const hostPath = join(tools.directory, "link");
    await symlink(target, hostPath);
    const container = await tools.launch({ mounts: [{ hostPath, containerPath: "/data" }] });
    expect(await tools.sh(container, "cat /data/file")).toBe("from the host");
  });

  mounted("refuses a host path that is not there, and makes none", async (tools) => {
    const hostPath = join(tools.directory, "missing");
    await isRefused(tools, { hostPath, containerPath: "/data" });
    await expect(access(hostPath)).rejects.toMatchObject({ code: "ENOENT" });
  });

  mounted("refuses paths that are not absolute", async (tools) => {
    const hostPath = await hostDirectory(tools);
    await isRefused(tools, { hostPath, containerPath: "" });
    await isRefused(tools, { hostPath: "relative/path", containerPath: "/data" });
  });

  mounted("stays inside of the container when the target is a link out of it", async (tools) => {
    const hostPath = await hostDirectory(tools);
    // The image's /escape leads to /tmp, many levels up: to the host's own for whoever follows it outside.
    const name = `${basename(tools.directory)}-target`;
    const container = await tools.launch({
      mounts: [{ hostPath, containerPath: `/escape/${name}` }],
    });
    await expect(access(join("/tmp", name))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await tools.sh(container, `cat /tmp/${name}/file`)).toBe("from the host");
  });

  mounted("stays inside of the container when the target climbs", async (tools) => {
    const hostPath = await hostDirectory(tools);
    const name = `${basename(tools.directory)}-climb`;
    const pod = await tools.pod();
    const mount = { hostPath, containerPath: `/../../../../../tmp/${name}` };
    try {
      await tools.runtime.startContainer(await tools.create(pod, { mounts: [mount] }));
    } catch (error) {
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    }
    await expect(access(join("/tmp", name))).rejects.toMatchObject({ code: "ENOENT" });
  });

  mounted("tells a container's mounts as they were given", async (tools) => {
    const hostPath = await hostDirectory(tools);
    const mounts = [{ hostPath, containerPath: "/data", readonly: true }];
    const container = await tools.launch({ mounts });
    expect((await tools.status(container)).mounts).toMatchObject(mounts);
    expect((await tools.status(container)).mounts).toHaveLength(1);
  });

  const propagated = needing(check, "mounts", "image files", "mount propagation");
  propagated("shows no later mounts of the host when private", async (tools) => {
    await using host = hostMounts();
    const hostPath = join(tools.directory, "shared");
    await host.mount(hostPath, "shared");
    const container = await tools.launch({ mounts: [{ hostPath, containerPath: "/data" }] });
    await host.mount(join(hostPath, "sub"));
    await writeFile(join(hostPath, "sub", "late"), "late\n");
    await cannot(tools, container, "cat /data/sub/late");
  });

  propagated("shows later mounts of the host, and not the other way", async (tools) => {
    await using host = hostMounts();
    const hostPath = join(tools.directory, "shared");
    await host.mount(hostPath, "shared");
    const mount: Mount = { hostPath, containerPath: "/data", propagation: "hostToContainer" };
    const container = await tools.launch({ mounts: [mount] });
    await host.mount(join(hostPath, "sub"));
    await writeFile(join(hostPath, "sub", "late"), "late\n");
    expect(await tools.sh(container, "cat /data/sub/late")).toBe("late");
    expect((await tools.status(container)).mounts).toMatchObject([mount]);
  });

  propagated("refuses propagation that the host's mount cannot give", async (tools) => {
    await using host = hostMounts();
    const hostPath = join(tools.directory, "private");
    await host.mount(hostPath, "private");
    for (const propagation of ["hostToContainer", "bidirectional"] as const) {
      await isRefused(tools, { hostPath, containerPath: "/data", propagation });
    }
  });

  needing(propagated, "privileged")(
    "shows mounts of a container on the host when both ways",
    async (tools) => {
      await using host = hostMounts();
      const hostPath = join(tools.directory, "shared");
      await host.mount(hostPath, "shared");
      const pod = await tools.pod({ linux: { securityContext: { privileged: true } } });
      const mount = { hostPath, containerPath: "/data", propagation: "bidirectional" } as const;
      const security = { privileged: true };
      const container = await tools.launch({ mounts: [mount], security }, pod);
      await tools.sh(container, "mkdir /data/sub; mount -t tmpfs none /data/sub; : > /data/sub/in");
      try {
        expect(await readdir(join(hostPath, "sub"))).toEqual(["in"]);
      } finally {
        await tools.sh(container, "umount /data/sub");
      }
    },
  );

  const recursive = needing(check, "mounts", "image files", "recursive read-only mounts");
  recursive("keeps all below a mount from being written when asked", async (tools) => {
    await using host = hostMounts();
    const hostPath = await hostDirectory(tools);
    await host.mount(join(hostPath, "sub"));
    const mount = { hostPath, containerPath: "/data", readonly: true };
    const deep = await tools.launch({ mounts: [{ ...mount, recursiveReadOnly: true }] });
    await cannot(tools, deep, ": > /data/new");
    await cannot(tools, deep, ": > /data/sub/new");
    const flat = await tools.launch({ mounts: [mount] });
    await cannot(tools, flat, ": > /data/new");
    await tools.sh(flat, ": > /data/sub/new");
  });

  recursive(
    "refuses recursive read-only mounts that may be written or propagate",
    async (tools) => {
      const hostPath = await hostDirectory(tools);
      const mount = { hostPath, containerPath: "/data", recursiveReadOnly: true };
      await isRefused(tools, mount);
      await isRefused(tools, { ...mount, readonly: true, propagation: "hostToContainer" });
    },
  );
};
