import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger, type RuntimeClient } from "@longshore/core";
import { buildBusyboxImage } from "../../../test/fixtures/busybox-image.ts";
import { composeRuntime, type ComposedRuntime } from "../src/commands/container/compose-runtime.ts";

const canRun = process.env["CI"] === "true" || process.getuid?.() === 0;
const hostId = 100_000;
const mapping = [{ hostId, containerId: 0, length: 65_536 }];

describe.skipIf(!canRun)("containers whose root is none on the host (needs root and runc)", () => {
  let home: string;
  let image: string;
  let composed: ComposedRuntime;
  let sandboxId: string;
  let containerId: string;
  const open = async (): Promise<void> => {
    composed = await composeRuntime({ home }, { logger: silentLogger });
  };
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "longshore-users-"));
    const source = await buildBusyboxImage(home);
    await open();
    image = await composed.images.pullImage({ image: { image: source } });
    const { runtime } = composed;
    const config = {
      metadata: { name: "users", uid: "1", namespace: "test" },
      hostname: "users",
      linux: {
        securityContext: {
          namespaceOptions: {
            network: "pod" as const,
            usernsOptions: { mode: "pod" as const, uids: mapping, gids: mapping },
          },
        },
      },
    };
    sandboxId = await runtime.runPodSandbox({ config });
    containerId = await runtime.createContainer({
      podSandboxId: sandboxId,
      config: {
        metadata: { name: "main" },
        image: { image },
        command: ["sh", "-c", "echo mine > /etc/mine; exec sleep 1234"],
      },
      sandboxConfig: config,
    });
    await runtime.startContainer({ containerId });
  });
  afterAll(async () => {
    await composed.runtime.stopPodSandbox({ podSandboxId: sandboxId });
    await composed.runtime.removePodSandbox({ podSandboxId: sandboxId });
    await composed[Symbol.asyncDispose]();
    const mounts = await readFile("/proc/self/mounts", "utf8");
    const left = mounts.split("\n").filter((line) => line.includes(containerId));
    left.push(...(await readdir("/run/longshore/roots")).filter((name) => name === containerId));
    await rm(home, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`left on the machine: ${left.join("; ")}`);
  });
  const sh = async (script: string, runtime: RuntimeClient = composed.runtime) => {
    const { exitCode, stdout, stderr } = await runtime.execSync({
      containerId,
      cmd: ["sh", "-c", script],
    });
    return `${Buffer.from(stdout).toString()}${Buffer.from(stderr).toString()}${exitCode}`;
  };

  it("is said by the status", async () => {
    const { runtimeHandlers } = await composed.runtime.status();
    const runc = runtimeHandlers.find(({ name }) => name === "runc");
    expect(runc?.features.userNamespaces).toBe(true);
  });

  it("shows files of the image as the image has them, and shifts what is written", async () => {
    expect(await sh("stat -c %u:%g / /bin/busybox /etc/passwd /etc/mine; id -u")).toBe(
      "0:0\n0:0\n0:0\n0:0\n0\n0",
    );
    expect(await sh("chown 1000:1000 /etc/mine && stat -c %u:%g /etc/mine")).toBe("1000:1000\n0");
    expect(await sh("echo more >> /etc/hosts && echo yes")).toBe("yes\n0");
  });

  it("runs as another user outside", async () => {
    const ids = await Promise.all((await sleepers()).map(userOf));
    expect(ids).toContain(String(hostId));
  });

  it("has a network in which its root may use low ports", async () => {
    expect(await sh("ip -o -4 addr show eth0 | grep -c inet")).toBe("1\n0");
    expect(await sh("echo hi | nc -l -p 80 & sleep 0.2; nc 127.0.0.1 80 </dev/null")).toBe("hi\n0");
  });

  it("is found again after a restart", async () => {
    await composed[Symbol.asyncDispose]();
    await open();
    expect(await sh("stat -c %u /etc/mine; cat /proc/self/uid_map")).toMatch(
      /^1000\n\s*0\s+100000\s+65536\n0$/,
    );
  });
});

async function sleepers(): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
      const root = await readlink(`/proc/${pid}/ns/user`).catch(() => "");
      return args === "sleep\u00001234\u0000" && root !== "" ? [pid] : [];
    }),
  );
  return found.flat();
}

async function userOf(pid: string): Promise<string | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return /^Uid:\s+(\d+)/m.exec(status)?.[1];
}
