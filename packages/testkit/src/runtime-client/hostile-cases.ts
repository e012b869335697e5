import { access, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { countSleeps, hostSleeps, randomSeconds } from "./marked-sleep.ts";
import { countBytes } from "./session-output.ts";

const mib = 1_048_576;

/** Containers that want out, or want too much. */
export const hostileCases: CaseGroup = (check) => {
  const rooted = needing(check, "image files");

  rooted("shows no file of the host by way of /proc", async (tools) => {
    const secret = join(tools.directory, "secret");
    await writeFile(secret, "secret\n");
    const container = await tools.launch();
    for (const path of [
      secret,
      `/proc/1/root${secret}`,
      `/proc/self/root/../../../..${secret}`,
      `/proc/self/cwd/../../../../..${secret}`,
      `/escape/..${secret}`,
      `/escape/${basename(tools.directory)}/secret`,
    ]) {
      expect(await tools.trySh(container, `cat ${path}`), path).not.toMatchObject({ exitCode: 0 });
    }
    const open = "for f in /proc/[0-9]*/fd/*; do readlink $f; done 2> /dev/null | sort -u";
    for (const target of (await tools.sh(container, open)).split("\n")) {
      expect(target).toMatch(/^$|^(pipe|socket|anon_inode|\/dev\/(null|pts|tty|console)|\/proc)/);
    }
  });

  rooted("starts in a directory inside though a link leads out", async (tools) => {
    const name = `${basename(tools.directory)}-cwd`;
    const pod = await tools.pod();
    const container = await tools.create(pod, { workingDir: `/escape/${name}` });
    try {
      await tools.runtime.startContainer(container);
      expect(await tools.sh(container, "pwd -P")).toBe(`/tmp/${name}`);
    } catch (error) {
      expect(error).toMatchObject({
        code: expect.stringMatching(/^(VALIDATION_ERROR|EXECUTION_ERROR)$/),
      });
    }
    await expect(access(join("/tmp", name))).rejects.toMatchObject({ code: "ENOENT" });
  });

  rooted("runs no program of the host", async (tools) => {
    const directory = join(tools.directory, "bin");
    await mkdir(directory);
    await writeFile(join(directory, "tool"), "#!/bin/sh\necho host\n", { mode: 0o755 });
    const container = await tools.launch();
    await expect(
      tools.runtime.execSync({ ...container, cmd: [join(directory, "tool")] }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
  });

  check("takes names and labels for nothing but text", async (tools) => {
    const odd = '"; rm -rf / #$(id)`id`\n../../x,a=b\u0000'.replace("\u0000", "");
    const annotations = { "example.com/odd": odd };
    const pod = await tools.pod({ annotations });
    const container = await tools.launch({ annotations }, pod);
    expect(await tools.status(container)).toMatchObject({ annotations });
    const { status } = await tools.runtime.podSandboxStatus(pod);
    expect(status).toMatchObject({ annotations });
  });

  check("refuses NUL where the kernel would cut", async (tools) => {
    const pod = await tools.pod();
    for (const wishes of [
      { command: ["echo", "a\u0000b"] },
      { envs: [{ key: "A", value: "a\u0000b" }] },
      { envs: [{ key: "A=B", value: "c" }] },
      { workingDir: "/tmp\u0000/x" },
    ]) {
      await expect(tools.create(pod, wishes), JSON.stringify(wishes)).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });

  check("takes a program whose name begins with a dash for no option", async (tools) => {
    const container = await tools.launch();
    await expect(tools.runtime.execSync({ ...container, cmd: ["--help"] })).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
    });
  });

  check("passes a large output through without keeping it", async (tools) => {
    const { containerId } = await tools.launch();
    const cmd = ["head", "-c", String(512 * mib), "/dev/zero"];
    const before = process.memoryUsage().rss;
    await using session = await tools.runtime.exec({ containerId, cmd });
    expect(await countBytes(session.stdout)).toBe(512 * mib);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * mib);
  });

  check(
    "ends processes that closed their outputs and left their group",
    async (tools) => {
      const mark = randomSeconds();
      const detached = `exec > /dev/null 2>&1 < /dev/null; exec sleep ${mark}`;
      const script = `(setsid sh -c '${detached}' &); sleep 1000`;
      const container = await tools.launch({ command: ["sh", "-c", script] });
      await tools.sh(container, `until [ "$(${countSleeps(mark)})" = 1 ]; do sleep 0.02; done`);
      await tools.runtime.removePodSandbox(container);
      expect(await hostSleeps(mark)).toBe(0);
    },
    { needs: ["pid namespaces"] },
  );

  needing(check, "pids limit")(
    "holds a fork bomb in its container, and clears it away",
    async (tools) => {
      const { runtime } = tools;
      const resources = { unified: { "pids.max": "64" } };
      const container = await tools.launch({
        command: ["sh", "-c", "b() { b | b & }; b; sleep 1000"],
        resources,
      });
      const other = await tools.launch();
      expect(await tools.sh(other, "echo alive")).toBe("alive");
      const startedMs = performance.now();
      await runtime.listContainers();
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      await runtime.stopContainer({ ...container, timeout: 0 });
      await runtime.removePodSandbox(container);
      expect(await tools.sh(other, "echo alive")).toBe("alive");
    },
    { timeoutMs: 120_000 },
  );
};
