import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerConfig, DriverContainer, DriverSandbox } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ociDriver, probeRuntime } from "../src/index.ts";
import {
  canRun,
  command,
  logText,
  openMachine,
  run,
  text,
  type TestMachine,
} from "./fixtures/test-machine.ts";

const mib = 1_048_576;
/** Another one than the machine's may be named, by its path */
const binary = process.env["LONGSHORE_TEST_RUNSC"] ?? "runsc";
const noNetwork = { securityContext: { namespaceOptions: { network: "none" } } } as const;
const isHere =
  process.env["CI"] === "true" ||
  (canRun && existsSync(binary === "runsc" ? "/usr/bin/runsc" : binary));

describe.skipIf(!isHere)("containers through runsc (needs root: apt-get install runsc)", () => {
  let machine: TestMachine;
  let sandbox: DriverSandbox;
  beforeAll(async () => {
    machine = await openMachine(binary);
    sandbox = await machine.prepare({ linux: noNetwork });
  });
  afterAll(async () => {
    await sandbox.teardown();
    const left = [...(await machine.leftovers()), ...(await kernels())];
    await machine[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(`left on the machine: ${left.join("; ")}`);
  });
  /** Processes of the OCI runtime that work for this test, each with its number. */
  const kernels = async (): Promise<readonly string[]> => {
    const { stdout } = await run("ps", ["-eo", "pid=,args="]);
    return stdout
      .split("\n")
      .filter((line) => /^\s*\d+ \S*runsc/.test(line) && line.includes(machine.path));
  };
  const said = async (container: DriverContainer, script: string): Promise<string> =>
    text((await container.exec(command(script))).stdout);

  it("says what works, and that each container has a kernel", async () => {
    expect(await probeRuntime(binary)).toMatchObject({
      available: true,
      reason: expect.stringMatching(/cgroups [12] with .*memory.*, a kernel of its own/),
      userNamespaces: false,
    });
    expect([...machine.driver.capabilities].toSorted()).toEqual([
      "loopback",
      "pause",
      "survivesRestart",
    ]);
  });

  it("runs a container on another kernel than the host's, with files, limits and ends that are true", async () => {
    const spec = await machine.containerSpec(
      "cat /proc/version; echo kept > /kept; echo err >&2; exit 7",
      { config: { linux: { resources: { memoryLimitInBytes: 256 * mib } } } },
    );
    const container = await sandbox.start(spec);
    expect(await container.exit).toMatchObject({ exitCode: 7, isOomKilled: false });
    const version = await logText(spec.log?.path ?? "", "stdout");
    expect(version).toContain("Linux version");
    expect(version).not.toBe(await readFile("/proc/version", "utf8"));
    expect(await logText(spec.log?.path ?? "", "stderr")).toBe("err\n");
    const upper = spec.rootfs.kind === "overlay" ? spec.rootfs.upper?.upperDir : undefined;
    expect(await readFile(join(upper ?? "", "kept"), "utf8")).toBe("kept\n");
    await container.remove();
  });

  it("starts one of two containers that come at the same time", async () => {
    const specs = await Promise.all([
      machine.containerSpec("sleep 100"),
      machine.containerSpec("sleep 100"),
    ]);
    const outcomes = await Promise.allSettled(specs.map((spec) => sandbox.start(spec)));
    const started = outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    await Promise.all(started.map((container) => container.remove()));
    expect(outcomes.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "RUNTIME_NOT_SUPPORTED", details: { field: "podSandboxId" } },
    });
    expect(started).toHaveLength(1);
  });

  it("runs one container at a time, gives commands their ends, and kills them with what they started", async () => {
    const container = await sandbox.start(
      await machine.containerSpec("trap 'exit 5' TERM; while :; do sleep 0.1; done"),
    );
    const running = await kernels();
    expect(running).not.toEqual([]);
    for (const line of running) {
      const environment = await readFile(`/proc/${Number.parseInt(line, 10)}/environ`, "utf8");
      // What makes short programs fast, and would let a kernel's memory grow.
      expect(environment).not.toContain("GOGC");
    }
    const second = await machine.containerSpec("true");
    for (const refused of [sandbox.check(second), sandbox.start(second)]) {
      await expect(refused).rejects.toMatchObject({
        code: "RUNTIME_NOT_SUPPORTED",
        details: { field: "podSandboxId" },
      });
    }
    const ended = await container.exec(command("echo out; exit 9"));
    expect(await text(ended.stdout)).toBe("out\n");
    expect(await ended.exit).toMatchObject({ exitCode: 9 });

    const busy = await container.exec(
      command("trap '' TERM; sleep 4321 & sh -c 'sleep 4321; :' & echo ready; wait"),
    );
    for await (const chunk of busy.stdout) if (Buffer.from(chunk).includes("ready")) break;
    const count = "ps | grep -c '[s]leep 4321' || true";
    await vi.waitFor(async () => expect(Number(await said(container, count))).toBeGreaterThan(1));
    await busy.kill();
    expect(await said(container, count)).toBe("0\n");
    expect(await busy.exit).toMatchObject({ exitCode: 137 });

    await container.pause?.();
    await container.pause?.();
    await container.resume?.();
    await container.signal("SIGTERM");
    expect(await container.exit).toMatchObject({ exitCode: 5 });
    await container.remove();
  });

  it("gives each container that follows the addresses of the sandbox, where it can have any", async () => {
    const { reason } = await probeRuntime(binary);
    if (reason.includes("no networks")) {
      await expect(machine.prepare()).rejects.toMatchObject({
        code: "RUNTIME_NOT_SUPPORTED",
        details: { field: "namespaceOptions.network" },
      });
      return;
    }
    const { name } = machine;
    await run("ip", ["-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "peer0"]);
    for (const link of ["eth0", "peer0"]) await run("ip", ["-n", name, "link", "set", link, "up"]);
    await run("ip", ["-n", name, "address", "add", "10.123.0.2/24", "dev", "eth0"]);
    await run("ip", ["-n", name, "route", "add", "default", "via", "10.123.0.1"]);
    const networked = await machine.prepare();
    for (const turn of [1, 2]) {
      const spec = await machine.containerSpec("ip address show dev eth0; ip route");
      const container = await networked.start(spec);
      await container.exit;
      const log = await logText(spec.log?.path ?? "", "stdout");
      expect(log, `container ${turn}`).toContain("10.123.0.2/24");
      expect(log, `container ${turn}`).toContain("default via 10.123.0.1");
      await container.remove();
    }
    await networked.teardown();
    await run("ip", ["-n", name, "link", "del", "eth0"]);
  });

  it("finds a container again, and takes down what nobody knows", async () => {
    const known = await machine.sandboxSpec({ linux: noNetwork });
    const stateDirectory = join(machine.path, "state");
    const driver = ociDriver({ binary, stateDirectory });
    const spec = await machine.containerSpec("read line; echo got $line; exit 3", {
      process: { stdin: true },
      config: { stdinOnce: true },
    });
    await (await driver.prepare(known)).start(spec);
    await driver[Symbol.asyncDispose]();
    const again = ociDriver({ binary, stateDirectory });
    const found = (await again.recover([known])).get(known.id);
    const container = found?.containers.get(spec.id);
    await using session = await container?.attach({ stdin: true });
    await session?.stdin.write("word\n");
    expect(await container?.exit).toMatchObject({ exitCode: 3 });
    expect(await logText(spec.log?.path ?? "", "stdout")).toBe("got word\n");
    await again.recover([]);
  });

  type Linux = NonNullable<ContainerConfig["linux"]>;
  const refusals: readonly (readonly [field: string, config: Partial<ContainerConfig>])[] = [
    ["unified", limited({ unified: { "pids.max": "64" } })],
    ["unified", limited({ unified: { "memory.high": "1" } })],
    ["hugepageLimits", limited({ hugepageLimits: [{ pageSize: "2MB", limit: 4 * mib }] })],
    ["privileged", secured({ privileged: true })],
    ["seccomp", secured({ seccomp: { profileType: "localhost", localhostRef: "/p.json" } })],
    ["apparmor", secured({ apparmor: { profileType: "localhost", localhostRef: "p" } })],
    ["maskedPaths", secured({ maskedPaths: ["/etc/passwd"] })],
    ["readonlyPaths", secured({ readonlyPaths: ["/etc"] })],
    ["capabilities", secured({ capabilities: { addAmbientCapabilities: ["CHOWN"] } })],
    ["devices", { devices: [{ hostPath: "/dev/null", containerPath: "/d", permissions: "r" }] }],
    ["mounts.propagation", mounted({ propagation: "hostToContainer" })],
    ["mounts.recursiveReadOnly", mounted({ readonly: true, recursiveReadOnly: true })],
    ["stopSignal", { stopSignal: "SIGRTMIN+3" }],
  ];
  it.each(refusals)("refuses %s that it cannot keep: %j", async (field, config) => {
    const spec = await machine.containerSpec("true", { config });
    await expect(sandbox.check(spec)).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
      details: { field },
    });
  });

  it("refuses the host's namespaces, user namespaces, kernel settings and ports", async () => {
    const mapping = [{ containerId: 0, hostId: 100_000, length: 65_536 }];
    for (const [field, linux] of [
      ["namespaceOptions.pid", { securityContext: { namespaceOptions: { pid: "node" } } }],
      ["namespaceOptions.ipc", { securityContext: { namespaceOptions: { ipc: "node" } } }],
      [
        "usernsOptions",
        {
          securityContext: {
            namespaceOptions: { usernsOptions: { mode: "pod", uids: mapping, gids: mapping } },
          },
        },
      ],
      ["sysctls", { sysctls: { "net.core.somaxconn": "128" } }],
    ] as const) {
      await expect(machine.prepare({ linux }), field).rejects.toMatchObject({
        code: "RUNTIME_NOT_SUPPORTED",
        details: { field },
      });
    }
    await expect(sandbox.connect(80)).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
  });

  function limited(resources: NonNullable<Linux["resources"]>): Partial<ContainerConfig> {
    return { linux: { resources } };
  }
  function secured(
    securityContext: NonNullable<Linux["securityContext"]>,
  ): Partial<ContainerConfig> {
    return { linux: { securityContext } };
  }
  function mounted(
    mount: Partial<NonNullable<ContainerConfig["mounts"]>[number]>,
  ): Partial<ContainerConfig> {
    return { mounts: [{ hostPath: "/tmp", containerPath: "/data", ...mount }] };
  }
});
