import { once } from "node:events";
import {
  attachSandbox,
  ensureSandbox,
  listSandboxes,
  openSandbox,
  type RuntimeClient,
} from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import { tempRuntime } from "./temp-runtime.ts";

const gone = { code: "SANDBOX_NOT_FOUND" };

describe("ensureSandbox", () => {
  it("makes a sandbox once and finds it afterwards, with its files", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    {
      await using first = await ensureSandbox(runtime, "box", { image: "base", images });
      expect(first).toMatchObject({ isCreated: true, name: "box" });
      await first.run(["touch", "made"]).orThrow();
    }
    await using second = await ensureSandbox(runtime, "box", { image: "base", images });
    expect(second.isCreated).toBe(false);
    expect(second.timings.totalMs).toBe(0);
    expect((await second.run(["ls"])).stdout).toBe("etc\nmade\n");
    expect(await listSandboxes(runtime)).toMatchObject([{ name: "box", id: second.id }]);
    await second.remove();
    expect(await listSandboxes(runtime)).toEqual([]);
  });

  it.each([
    ["with events", (runtime: RuntimeClient) => runtime],
    [
      "without",
      ({ getContainerEvents: _none, ...runtime }: RuntimeClient): RuntimeClient => runtime,
    ],
  ])("gives callers at the same time the same sandbox, by a runtime %s", async (_how, wrap) => {
    await using host = await tempRuntime();
    const runtime = wrap(host.runtime);
    const { images } = host;
    const made = vi.fn<RuntimeClient["createContainer"]>(runtime.createContainer);
    const counting = { ...runtime, createContainer: made };
    const sandboxes = await Promise.all(
      Array.from({ length: 8 }, () => ensureSandbox(counting, "box", { image: "base", images })),
    );
    expect(new Set(sandboxes.map(({ id }) => id)).size).toBe(1);
    expect(sandboxes.filter(({ isCreated }) => isCreated)).toHaveLength(1);
    expect(made).toHaveBeenCalledTimes(1);
    const results = await Promise.all(sandboxes.map((one) => one.run(["echo", "here"])));
    expect(results.every(({ stdout }) => stdout === "here\n")).toBe(true);
  });

  it("takes over when the one who was first fails", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const isThere = Promise.withResolvers<void>();
    const mayFail = Promise.withResolvers<void>();
    const failing: RuntimeClient = {
      ...runtime,
      async createContainer() {
        isThere.resolve();
        await mayFail.promise;
        throw new Error("no disk");
      },
    };
    const first = ensureSandbox(failing, "box", { image: "base", images });
    const failed = first.catch((thrown: unknown) => thrown);
    await isThere.promise;
    const listed = Promise.withResolvers<void>();
    const second = ensureSandbox(
      {
        ...runtime,
        async listContainers(...call) {
          listed.resolve();
          return runtime.listContainers(...call);
        },
      },
      "box",
      { image: "base", images },
    );
    await listed.promise;
    mayFail.resolve();
    expect(await failed).toMatchObject({ message: "no disk" });
    expect((await second).isCreated).toBe(true);
  });

  it("waits no longer than its caller", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const isThere = Promise.withResolvers<void>();
    const opening = new AbortController();
    const stuck: RuntimeClient = {
      ...runtime,
      async createContainer(_request, { signal } = {}) {
        isThere.resolve();
        if (signal !== undefined) await once(signal, "abort");
        throw signal?.reason;
      },
    };
    const first = ensureSandbox(stuck, "box", { image: "base", images, signal: opening.signal });
    const failed = first.catch((thrown: unknown) => thrown);
    await isThere.promise;
    const abort = new AbortController();
    const reason = new Error("enough");
    const looked = Promise.withResolvers<void>();
    const second = ensureSandbox(
      {
        ...runtime,
        async listContainers(...call) {
          const containers = await runtime.listContainers(...call);
          looked.resolve();
          return containers;
        },
      },
      "box",
      { image: "base", images, signal: abort.signal },
    );
    const refused = second.catch((thrown: unknown) => thrown);
    await looked.promise;
    abort.abort(reason);
    expect(await refused).toBe(reason);
    const never = new Error("never mind");
    opening.abort(never);
    expect(await failed).toBe(never);
    expect(await runtime.listPodSandbox()).toEqual([]);
  });

  it("refuses another spec under the same name, or replaces on demand", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const first = await ensureSandbox(runtime, "box", { image: "base", images, memoryMb: 64 });
    const other = { image: "base", images, memoryMb: 65 };
    await expect(ensureSandbox(runtime, "box", other)).rejects.toMatchObject({
      code: "STATE_CONFLICT",
      details: { name: "box", podSandboxId: first.id },
    });
    const second = await ensureSandbox(runtime, "box", { ...other, replace: true });
    expect(second.id).not.toBe(first.id);
    expect(await listSandboxes(runtime)).toHaveLength(1);
    await expect(first.run(["true"])).rejects.toMatchObject(gone);
    await expect(first.files.read("/etc/hostname")).rejects.toMatchObject(gone);
  });

  it("makes a sandbox again whose holding process has ended", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const first = await ensureSandbox(runtime, "box", { image: "base", images });
    await runtime.stopContainer({ containerId: first.containerId });
    const second = await ensureSandbox(runtime, "box", { image: "base", images });
    expect(second.isCreated).toBe(true);
    expect(await listSandboxes(runtime)).toMatchObject([{ id: second.id }]);
  });

  it("removes what it made when it is told not to keep it, and never what it found", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const options = { image: "base", images, keep: false };
    const first = await ensureSandbox(runtime, "box", options);
    const second = await ensureSandbox(runtime, "box", options);
    await second[Symbol.asyncDispose]();
    expect(await listSandboxes(runtime)).toHaveLength(1);
    await first[Symbol.asyncDispose]();
    expect(await listSandboxes(runtime)).toEqual([]);
  });

  it("leaves sandboxes of openSandbox with the same name alone", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using opened = await openSandbox(runtime, { image: "base", images, name: "box" });
    await using ensured = await ensureSandbox(runtime, "box", { image: "base", images });
    expect(ensured.id).not.toBe(opened.id);
    const listed = await listSandboxes(runtime, { name: "box" });
    expect(listed.map(({ id }) => id)).toEqual([opened.id, ensured.id]);
    expect(await listSandboxes(runtime, { name: "other" })).toEqual([]);
  });
});

describe("attachSandbox", () => {
  it("gives a handle from what another one said of itself, and leaves the sandbox when disposed", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const first = await openSandbox(runtime, { image: "base", images, env: { COLOR: "red" } });
    const text = JSON.stringify(first);
    {
      await using second = await attachSandbox(runtime, JSON.parse(text));
      expect(second).toMatchObject({ id: first.id, isCreated: false, name: "sandbox" });
      expect((await second.run(["printenv", "COLOR"])).stdout).toBe("red\n");
    }
    expect((await first.run(["true"])).exitCode).toBe(0);
    await first[Symbol.asyncDispose]();
    await expect(attachSandbox(runtime, JSON.parse(text))).rejects.toMatchObject(gone);
  });

  it("finds no sandbox whose holding process has ended", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const first = await openSandbox(runtime, { image: "base", images });
    await runtime.stopContainer({ containerId: first.containerId });
    await expect(attachSandbox(runtime, first.toJSON())).rejects.toMatchObject(gone);
  });

  it.each([undefined, "id", {}, { kind: "longshore.sandbox.v1", id: 5, containerId: "a" }])(
    "refuses what is no reference: %j",
    async (reference) => {
      await using host = await tempRuntime();
      await expect(attachSandbox(host.runtime, reference)).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    },
  );

  it("finds neither a shortened id, nor another's container, nor a sandbox that is not the facade's", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using first = await openSandbox(runtime, { image: "base", images });
    await using second = await openSandbox(runtime, { image: "base", images });
    const { status } = await runtime.containerStatus({ containerId: first.containerId });
    const metadata = { name: "pod", uid: "1", namespace: "default" };
    const podSandboxId = await runtime.runPodSandbox({ config: { metadata } });
    const config = { metadata: { name: "main" }, image: { image: status.imageId } };
    const command = ["sleep", "1000"];
    const containerId = await runtime.createContainer({
      podSandboxId,
      config: { ...config, command },
      sandboxConfig: { metadata },
    });
    await runtime.startContainer({ containerId });
    const kind = "longshore.sandbox.v1";
    const references = [
      { kind, id: first.id.slice(0, 20), containerId: first.containerId },
      { kind, id: first.id, containerId: second.containerId },
      { kind, id: podSandboxId, containerId },
    ];
    for (const reference of references) {
      await expect(attachSandbox(runtime, reference)).rejects.toMatchObject(gone);
    }
  });

  it("passes on what is wrong with the runtime", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using first = await openSandbox(runtime, { image: "base", images });
    const down = { ...runtime, podSandboxStatus: () => Promise.reject(new Error("daemon gone")) };
    await expect(attachSandbox(down, first.toJSON())).rejects.toThrow("daemon gone");
  });
});

describe("the end of a handle", () => {
  it("keeps the sandbox when told so", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    {
      await using _kept = await openSandbox(runtime, { image: "base", images, keep: true });
    }
    expect(await listSandboxes(runtime)).toHaveLength(1);
  });

  it("detaches from a sandbox and its commands, which go on", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const sandbox = await openSandbox(runtime, { image: "base", images });
    const sleeper = sandbox.spawn(["sleep", "1000"]);
    await sleeper.started;
    await sandbox.detach();
    await sandbox.detach();
    await sandbox[Symbol.asyncDispose]();
    const refusal = { code: "SANDBOX_INVALID_STATE", message: expect.stringContaining("detached") };
    await expect(sandbox.run(["true"])).rejects.toMatchObject(refusal);
    await expect(sandbox.remove()).rejects.toMatchObject(refusal);
    expect(() => sandbox.files.list("/")).toThrow("detached");
    await using again = await attachSandbox(runtime, sandbox.toJSON());
    expect((await again.stats()).linux?.process?.processCount).toBe(2);
    await again.remove();
    expect(await sleeper.exit).toMatchObject({ signal: "SIGKILL" });
  });
});

describe("the time of a sandbox", () => {
  it("ends with its age, and its commands with it", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const sandbox = await openSandbox(runtime, { image: "base", images, timeoutMs: 1_500 });
    expect(await sandbox.spawn(["sleep", "1000"])).toMatchObject({ signal: "SIGKILL" });
    await expect(sandbox.run(["true"])).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await vi.waitFor(async () => expect(await listSandboxes(runtime)).toEqual([]), {
      timeout: 20_000,
    });
    await sandbox[Symbol.asyncDispose]();
  });

  it("counts from the making, for handles that come later too", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const first = await openSandbox(runtime, { image: "base", images, timeoutMs: 1_500 });
    await first.detach();
    const second = await attachSandbox(runtime, first.toJSON());
    expect(await second.spawn(["sleep", "1000"])).toMatchObject({ signal: "SIGKILL" });
    await expect(attachSandbox(runtime, first.toJSON())).rejects.toMatchObject(gone);
  });

  it("is past for a sandbox that outlived the programs that knew it", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const spec = { image: "base", images, timeoutMs: 200 };
    const first = await ensureSandbox(runtime, "box", spec);
    await first.detach();
    await vi.waitFor(
      async () => {
        await expect(attachSandbox(runtime, first.toJSON())).rejects.toMatchObject(gone);
      },
      { timeout: 20_000 },
    );
    const second = await ensureSandbox(runtime, "box", spec);
    expect(second.isCreated).toBe(true);
  });

  it("ends when nobody uses the sandbox, and not while a command runs", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const sandbox = await openSandbox(runtime, { image: "base", images, idleTimeoutMs: 200 });
    const busy = sandbox.spawn(["sleep", "0.6"]);
    expect(await busy).toMatchObject({ exitCode: 0 });
    await vi.waitFor(async () => expect(await listSandboxes(runtime)).toEqual([]), {
      timeout: 20_000,
    });
    await expect(sandbox.run(["true"])).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });
});
