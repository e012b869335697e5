import { openSandbox } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";

/** The runtime by way of `openSandbox`, as a host program uses it. */
export const facadeCases: CaseGroup = (check) => {
  check("opens a sandbox that runs commands, and removes it", async (tools) => {
    const { runtime, labels } = tools;
    const image = tools.harness.images.base;
    const sandbox = await openSandbox(runtime, {
      image,
      labels,
      env: { COLOUR: "green" },
      command: ["sleep", "100000"],
    });
    const result = await sandbox.run(["sh", "-c", 'echo "$COLOUR"; cat; exit 3'], {
      stdin: "input\n",
    });
    expect(result).toMatchObject({ exitCode: 3, stdout: "green\ninput\n" });
    await sandbox[Symbol.asyncDispose]();
    await sandbox[Symbol.asyncDispose]();
    expect(await runtime.listPodSandbox({ labelSelector: labels })).toEqual([]);
    await expect(sandbox.run(["true"])).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });

  check("leaves no sandbox when a command's program is not there", async (tools) => {
    const { runtime, labels } = tools;
    const image = tools.harness.images.base;
    await expect(
      openSandbox(runtime, { image, labels, command: ["/no/such/program"] }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
    expect(await runtime.listPodSandbox({ labelSelector: labels })).toEqual([]);
  });

  needing(check, "network namespaces")("gives a sandbox no network unless asked", async (tools) => {
    const { runtime, labels } = tools;
    await using sandbox = await openSandbox(runtime, {
      image: tools.harness.images.base,
      labels,
      command: ["sleep", "100000"],
    });
    const { stdout } = await sandbox.run(["cat", "/proc/net/dev"]);
    expect(stdout).not.toMatch(/^\s*eth0:/m);
    expect(stdout).toMatch(/^\s*lo:/m);
  });

  const files = needing(check, "image files");
  files("reads and writes files of a sandbox", async (tools) => {
    await using sandbox = await openSandbox(tools.runtime, {
      image: tools.harness.images.base,
      labels: tools.labels,
      command: ["sleep", "100000"],
    });
    const bytes = Buffer.from([0, 255, 10, 13]);
    await sandbox.files.write("/new/deep/file", bytes, { mode: 0o640 });
    expect(Buffer.from(await sandbox.files.read("/new/deep/file"))).toEqual(bytes);
    expect(await sandbox.files.stat("/new/deep/file")).toMatchObject({
      type: "file",
      size: 4,
      mode: 0o640,
    });
    expect((await sandbox.files.list("/new")).map(({ name }) => name)).toEqual(["deep"]);
    await sandbox.files.remove("/new", { recursive: true });
    expect(await sandbox.files.stat("/new")).toBeUndefined();
    await expect(sandbox.files.read("/new")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  files("follows links in a sandbox no further than its root", async (tools) => {
    await using sandbox = await openSandbox(tools.runtime, {
      image: tools.harness.images.base,
      labels: tools.labels,
      command: ["sleep", "100000"],
    });
    const path = `/escape/${tools.directory.split("/").at(-1)}/written`;
    await sandbox.files.write(path, "inside");
    expect(await sandbox.files.readText(path)).toBe("inside");
    expect((await sandbox.run(["ls", tools.directory])).stdout).toBe("written\n");
  });
};
