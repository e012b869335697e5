import { readFile, symlink, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { memoryEventBus, type ContainerEvent, type EventEnvelope } from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { openRuntime } from "../src/index.ts";
import { killMarked } from "./fixtures/marked-processes.ts";
import { processDriver } from "./fixtures/process-driver.ts";
import { containerConfig, launch, podConfig, tempEngine } from "./fixtures/temp-engine.ts";

describe("an engine", () => {
  it("names its own version", async () => {
    await using engine = await tempEngine();
    expect((await engine.runtime.version()).runtimeVersion).toBe(packageJson.version);
  });

  it("fails closed: unknown handlers, drivers that do not work, abilities that are not there", async () => {
    let isMissing = true;
    await using engine = await tempEngine({
      driver: { missing: () => (isMissing ? "There is no /dev/kvm." : undefined) },
    });
    const { runtime } = engine;
    const config = podConfig();
    await expect(runtime.runPodSandbox({ config, runtimeHandler: "kata" })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
      message: expect.stringContaining("process"),
    });
    await expect(runtime.runPodSandbox({ config })).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
      message: expect.stringContaining("There is no /dev/kvm. Install it."),
    });
    expect((await runtime.status()).conditions).toMatchObject([
      { type: "RuntimeReady", status: false, message: "process: There is no /dev/kvm." },
      { type: "NetworkReady", status: true },
    ]);
    isMissing = false;
    const { containerId } = await launch(runtime);
    await expect(
      runtime.checkpointContainer({ containerId, location: "/tmp/never" }),
    ).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    await expect(
      runtime.commitContainer({ containerId, reference: "localhost/a:b" }),
    ).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
  });

  it("refuses drivers it could not tell apart, and a default that is none", async () => {
    const rest = { directory: "/never", images: undefined as never, network: undefined as never };
    const driver = processDriver({ root: "/never" });
    await expect(
      openRuntime({ ...rest, drivers: [driver, driver], defaultHandler: "process" }),
    ).rejects.toThrow(TypeError);
    await expect(
      openRuntime({ ...rest, drivers: [driver], defaultHandler: "runc" }),
    ).rejects.toThrow(TypeError);
    await expect(openRuntime({ ...rest, drivers: [], defaultHandler: "runc" })).rejects.toThrow(
      RangeError,
    );
  });

  it("puts a sandbox away that dies by itself, with its containers", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const ids = await launch(runtime);
    const sandboxConfig = podConfig();
    const created = await runtime.createContainer({
      ...ids,
      config: containerConfig(),
      sandboxConfig,
    });
    await killMarked(`LONGSHORE_TEST_SANDBOX=${ids.podSandboxId}`);
    await vi.waitFor(
      async () => expect(await engine.network.left(), "the network is given back").toEqual([]),
      { timeout: 20_000 },
    );
    await runtime.stopPodSandbox(ids);
    expect((await runtime.podSandboxStatus(ids)).status.state).toBe("notready");
    expect((await runtime.containerStatus(ids)).status).toMatchObject({
      state: "exited",
      exitCode: 137,
    });
    expect((await runtime.containerStatus({ containerId: created })).status.state).toBe("exited");
    await expect(runtime.startContainer({ containerId: created })).rejects.toMatchObject({
      code: "SANDBOX_INVALID_STATE",
    });
  });

  it("tells that the kernel killed a container for want of memory", async () => {
    await using engine = await tempEngine({ driver: { isOomKilled: true } });
    const ids = await launch(engine.runtime);
    await engine.runtime.stopContainer(ids);
    expect((await engine.runtime.containerStatus(ids)).status.reason).toBe("OOMKilled");
  });

  it("cuts a patient stop short when another has less patience", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const ids = await launch(runtime, {
      command: ["sh", "-c", "trap '' TERM; : > ready; while :; do sleep 0.05; done"],
    });
    await runtime.execSync({
      ...ids,
      cmd: ["sh", "-c", "until [ -e ready ]; do sleep 0.01; done"],
    });
    const patient = runtime.stopContainer({ ...ids, timeout: 3_000 });
    await runtime.stopContainer({ ...ids, timeout: 0 });
    await patient;
    expect((await runtime.containerStatus(ids)).status.exitCode).toBe(137);
  });

  it("passes signals on, and tells those who wait how a container ended", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const ids = await launch(runtime, {
      command: ["sh", "-c", "trap 'exit 6' HUP; : > ready; while :; do sleep 0.02; done"],
    });
    await runtime.execSync({
      ...ids,
      cmd: ["sh", "-c", "until [ -e ready ]; do sleep 0.01; done"],
    });
    const waiting = runtime.waitContainer(ids);
    const stop = new AbortController();
    const aborted = runtime.waitContainer(ids, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(aborted).rejects.toBe(stop.signal.reason);
    await runtime.signalContainer({ ...ids, signal: "SIGHUP" });
    expect(await waiting).toMatchObject({ state: "exited", exitCode: 6 });
    expect(await runtime.waitContainer(ids)).toMatchObject({ exitCode: 6 });
    await runtime.signalContainer({ ...ids, signal: "SIGTERM" });
    const created = await runtime.createContainer({
      ...ids,
      config: containerConfig(),
      sandboxConfig: podConfig(),
    });
    const removed = runtime.waitContainer({ containerId: created });
    removed.catch(() => undefined);
    await runtime.removeContainer({ containerId: created });
    await expect(removed).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("changes all limits or none", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const resources = { cpuShares: 512, unified: { "pids.max": "10" } };
    const ids = await launch(runtime, { linux: { resources } });
    const limits = async () => (await runtime.containerStatus(ids)).status.resources?.linux;
    await expect(
      runtime.updateContainerResources({ ...ids, linux: { cpuShares: 3, cpuQuota: 7_000 } }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
    expect(await limits()).toEqual(resources);
    await runtime.updateContainerResources({
      ...ids,
      linux: { cpuQuota: 7_000, cpuShares: 0, unified: { "memory.high": "1" } },
    });
    expect(await limits()).toEqual({
      cpuShares: 512,
      cpuQuota: 7_000,
      unified: { "pids.max": "10", "memory.high": "1" },
    });
  });

  it("gives the processor's use between two readings", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const ids = await launch(runtime, { command: ["sh", "-c", "while :; do :; done"] });
    expect((await runtime.containerStats(ids)).cpu?.usageNanoCores).toBeUndefined();
    await vi.waitFor(
      async () => {
        const { cpu } = await runtime.containerStats(ids);
        expect(cpu?.usageNanoCores).toBeGreaterThan(0);
      },
      { timeout: 20_000 },
    );
    expect(await runtime.listContainerStats({ podSandboxId: ids.podSandboxId })).toHaveLength(1);
    const { linux } = await runtime.podSandboxStats(ids);
    expect(linux?.containers.map(({ attributes }) => attributes.id)).toEqual([ids.containerId]);
  });

  it("pauses a container, and resumes it to stop it", async () => {
    await using engine = await tempEngine();
    const { runtime } = engine;
    const ids = await launch(runtime, {
      command: ["sh", "-c", "trap 'exit 4' TERM; : > ready; while :; do sleep 0.02; done"],
    });
    await runtime.execSync({
      ...ids,
      cmd: ["sh", "-c", "until [ -e ready ]; do sleep 0.01; done"],
    });
    await runtime.pauseContainer(ids);
    await runtime.pauseContainer(ids);
    await expect(runtime.execSync({ ...ids, cmd: ["true"] })).rejects.toMatchObject({
      code: "SANDBOX_INVALID_STATE",
    });
    await runtime.stopContainer({ ...ids, timeout: 20 });
    expect((await runtime.containerStatus(ids)).status.exitCode).toBe(4);
  });

  it("gives containers what the network adds, and images as mounts that stay in the image", async () => {
    await using engine = await tempEngine({
      net: {
        setup: { env: ["HTTP_PROXY=http://proxy"], files: { "/etc/ca.pem": "/etc/hostname" } },
      },
    });
    const { runtime } = engine;
    await engine.images.add("data", { "sub/file": "from the other image\n" });
    const mount = {
      containerPath: "/data",
      hostPath: "",
      readonly: true,
      image: { image: "data" },
      imageSubPath: "sub",
    };
    const ids = await launch(runtime, { mounts: [mount] });
    const env = await runtime.execSync({ ...ids, cmd: ["sh", "-c", "echo $HTTP_PROXY"] });
    expect(Buffer.from(env.stdout).toString()).toBe("http://proxy\n");
    const { status, info } = await runtime.containerStatus({ ...ids, verbose: true });
    expect(status.mounts).toEqual([mount]);
    const { mounts } = JSON.parse(info?.["info"] ?? "{}");
    expect(mounts).toMatchObject([
      { containerPath: "/data", readonly: true },
      { containerPath: "/etc/ca.pem", hostPath: "/etc/hostname", readonly: true },
    ]);
    expect(await readFile(join(mounts[0].hostPath, "file"), "utf8")).toBe("from the other image\n");
    const create = (imageSubPath: string) =>
      runtime.createContainer({
        ...ids,
        config: containerConfig({ mounts: [{ ...mount, imageSubPath }] }),
        sandboxConfig: podConfig(),
      });
    for (const path of ["../escape", "/sub", "not-there"]) {
      await expect(create(path), path).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
    await runtime.removePodSandbox(ids);
    expect(await engine.images.listOwners()).toEqual([]);
  });

  it("writes no log through a link that a container put there", async () => {
    await using engine = await tempEngine();
    const logDirectory = join(engine.place.directory, "logs");
    await mkdir(logDirectory);
    await symlink("/tmp", join(logDirectory, "sub"));
    await symlink("/tmp/elsewhere.log", join(logDirectory, "link.log"));
    for (const logPath of ["sub/a.log", "link.log"]) {
      await expect(launch(engine.runtime, { logPath }, { logDirectory })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });
});

describe("untrusted configurations", () => {
  it("keeps labels as they are, whatever they are called", async () => {
    await using engine = await tempEngine();
    const labels = JSON.parse(
      '{"__proto__":"p","constructor":"c","$bytes":"QQ==","a\\nb":"\\u0001"}',
    );
    const metadata = { name: 'x"},{"a', uid: "u", namespace: "../../etc" };
    const podSandboxId = await engine.runtime.runPodSandbox({
      config: { metadata, labels, annotations: labels },
    });
    const listed = await engine.runtime.listPodSandbox({
      labelSelector: JSON.parse('{"__proto__":"p"}'),
    });
    expect(listed).toMatchObject([{ id: podSandboxId, metadata }]);
    expect(JSON.stringify(listed[0]?.labels)).toBe(JSON.stringify(labels));
    expect(await engine.runtime.listPodSandbox({ labelSelector: { toString: "x" } })).toEqual([]);
  });

  it("does not change with the caller's objects", async () => {
    await using engine = await tempEngine();
    const labels = { app: "one" };
    await engine.runtime.runPodSandbox({ config: podConfig({ labels }) });
    labels.app = "two";
    expect((await engine.runtime.listPodSandbox())[0]?.labels).toEqual({ app: "one" });
  });

  it.each([
    ["labels that are too large", { labels: { a: "x".repeat(300_000) } }],
    ["labels that are no texts", { labels: { a: 1 } as never }],
    ["an empty name", { metadata: { name: "", uid: "u", namespace: "n" } }],
    ["no metadata", { metadata: undefined as never }],
    ["a name with NUL", { metadata: { name: "a\0b", uid: "u", namespace: "n" } }],
    ["a host name that is two lines", { hostname: "a\n127.0.0.1 evil" }],
    ["a relative log directory", { logDirectory: "logs" }],
    ["functions", { labels: { a: () => "x" } as never }],
    ["a port that is none", { portMappings: [{ containerPort: 70_000, hostPort: 0 }] }],
    ["far too much", { linux: { sysctls: { a: "x".repeat(2_000_000) } } }],
  ])("refuses %s, with the field", async (_what, wishes) => {
    await using engine = await tempEngine();
    await expect(engine.runtime.runPodSandbox({ config: podConfig(wishes) })).rejects.toMatchObject(
      { code: "VALIDATION_ERROR", details: { field: expect.any(String) } },
    );
    expect(await engine.records()).toEqual([]);
  });
});

describe("events", () => {
  it("go to the bus by the ids of sandboxes and containers, after they are true", async () => {
    await using bus = memoryEventBus();
    await using engine = await tempEngine({ events: bus });
    const seen: EventEnvelope[] = [];
    await using _all = bus.on("worker.*.*", (event) => void seen.push(event));
    const ids = await launch(engine.runtime, { command: ["sh", "-c", "exit 3"] });
    await vi.waitFor(
      async () => expect((await engine.runtime.containerStatus(ids)).status.state).toBe("exited"),
      { timeout: 20_000 },
    );
    await engine.runtime.removePodSandbox(ids);
    await vi.waitFor(() => expect(seen).toHaveLength(8), { timeout: 20_000 });
    const types = (subject: string) =>
      seen.filter((event) => event.subject === subject).map(({ type }) => type);
    const life = ["created", "started", "stopped", "deleted"].map((one) => `worker.${one}`);
    expect(types(ids.podSandboxId)).toEqual(life);
    expect(types(ids.containerId)).toEqual(life);
    expect(
      seen.find(({ type, subject }) => type === "worker.stopped" && subject === ids.containerId),
    ).toMatchObject({
      entityType: "container",
      data: {
        containerId: ids.containerId,
        sandboxId: ids.podSandboxId,
        exitCode: 3,
        reason: "Error",
      },
    });
  });

  it("end a reader that is too far behind, and nobody else", async () => {
    const { containerEvents } = await import("../src/events/container-events.ts");
    const events = containerEvents();
    const slow = events.subscribe()[Symbol.asyncIterator]();
    const quick = events.subscribe()[Symbol.asyncIterator]();
    const event: ContainerEvent = {
      containerId: "a",
      containerEventType: "created",
      createdAt: 1n,
      containersStatuses: [],
    };
    for (let count = 0; count < 1_001; count += 1) {
      events.publish(event);
      expect(await quick.next()).toMatchObject({ done: false });
    }
    await expect(slow.next()).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await slow.next()).toMatchObject({ done: true });
    const last = quick.next();
    events.end();
    expect(await last).toMatchObject({ done: true });
  });
});
