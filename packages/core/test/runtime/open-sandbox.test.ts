import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openSandbox, type SandboxProgress } from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import { tempRuntime } from "./temp-runtime.ts";

describe("openSandbox", () => {
  it("pulls a missing image and starts in its files", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const phases: string[] = [];
    const onProgress = (progress: SandboxProgress): void => {
      phases.push(progress.phase === "pull" ? `pull ${progress.pull.phase}` : progress.phase);
    };
    await using sandbox = await openSandbox(runtime, { image: "base", images, onProgress });
    const { exitCode, stdout } = await sandbox.run(["cat", "etc/motd"]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "hello from the image\n" });
    const steps = ["sandbox", "container", "start", "ready"];
    expect(phases).toEqual(["pull resolve", "pull done", ...steps]);
    const { totalMs, ...parts } = sandbox.timings;
    expect(Object.keys(parts)).toEqual(["pullMs", "sandboxMs", "containerMs", "startMs"]);
    expect(Object.values(parts).every((ms) => ms > 0)).toBe(true);
    expect(Object.values(parts).reduce((sum, ms) => sum + ms)).toBeCloseTo(totalMs, 6);
  });

  it("uses an image that is there without pulling it again, unless told to", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await images.pullImage({ image: { image: "base" } });
    const phases: string[] = [];
    const options = {
      image: "base",
      images,
      onProgress: (progress: SandboxProgress) =>
        void (progress.phase === "pull" && phases.push(progress.pull.phase)),
    };
    await using first = await openSandbox(runtime, options);
    expect(phases).toEqual([]);
    await using second = await openSandbox(runtime, { ...options, pull: "always" });
    expect(phases).toEqual(["resolve", "done"]);
    expect(first.id).not.toBe(second.id);
  });

  it("pins the image by id, and keeps what the user wrote", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using sandbox = await openSandbox(runtime, { image: "base", images });
    const { containerId } = sandbox;
    const { status } = await runtime.containerStatus({ containerId });
    expect(status.image).toMatchObject({ image: status.imageId, userSpecifiedImage: "base" });
  });

  it("asks for limits, no network and no new privileges", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using sandbox = await openSandbox(runtime, {
      image: "base",
      images,
      memoryMb: 256,
      cpus: 0.5,
      pids: 64,
      labels: { team: "a" },
    });
    const { containerId } = sandbox;
    const { status } = await runtime.containerStatus({ containerId });
    expect(status.resources?.linux).toEqual({
      memoryLimitInBytes: 268_435_456,
      cpuPeriod: 100_000,
      cpuQuota: 50_000,
      unified: { "pids.max": "64" },
    });
    const pod = await runtime.podSandboxStatus({ podSandboxId: sandbox.id });
    expect(pod.status.linux?.namespaces.network).toBe("none");
    expect(await runtime.listPodSandbox({ labelSelector: { team: "a" } })).toHaveLength(1);
    expect(await runtime.listPodSandbox({ labelSelector: { team: "b" } })).toHaveLength(0);
  });

  it("leaves nothing behind when the container cannot be made", async () => {
    await using host = await tempRuntime();
    const { runtime } = host;
    await expect(openSandbox(runtime, { image: "base", pull: "never" })).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    expect(await runtime.listPodSandbox()).toEqual([]);
  });

  it("leaves nothing behind when the holding process cannot be started", async () => {
    await using host = await tempRuntime();
    const { runtime, images, directory } = host;
    const command = ["/no/such/program"];
    await expect(openSandbox(runtime, { image: "base", images, command })).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
    });
    expect(await runtime.listPodSandbox()).toEqual([]);
    expect(await runtime.listContainers()).toEqual([]);
    expect(await readdir(join(directory, "containers"))).toEqual([]);
  });

  it("rejects with the abort's reason and leaves nothing behind", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const abort = new AbortController();
    const reason = new Error("enough");
    const opening = openSandbox(
      // Aborts between the sandbox and its container.
      {
        ...runtime,
        async runPodSandbox(request, options) {
          const id = await runtime.runPodSandbox(request, options);
          abort.abort(reason);
          return id;
        },
      },
      { image: "base", images, signal: abort.signal },
    );
    await expect(opening).rejects.toBe(reason);
    expect(await runtime.listPodSandbox()).toEqual([]);
  });

  it.each(["pull", "sandbox", "container", "start"])(
    "rejects with the reason when it is aborted before the step %s, and leaves nothing behind",
    async (phase) => {
      await using host = await tempRuntime();
      const { runtime, images, directory } = host;
      const abort = new AbortController();
      const reason = new Error("enough");
      const opening = openSandbox(runtime, {
        image: "base",
        images,
        signal: abort.signal,
        onProgress: (progress) => void (progress.phase === phase && abort.abort(reason)),
      });
      await expect(opening).rejects.toBe(reason);
      expect(await runtime.listPodSandbox()).toEqual([]);
      expect(await readdir(join(directory, "containers"))).toEqual([]);
    },
  );

  it.each(["sandbox", "container", "start", "ready"])(
    "leaves nothing behind when its caller throws at %s",
    async (phase) => {
      await using host = await tempRuntime();
      const { runtime, images } = host;
      const reason = new Error("seen enough");
      const opening = openSandbox(runtime, {
        image: "base",
        images,
        onProgress(progress) {
          if (progress.phase === phase) throw reason;
        },
      });
      await expect(opening).rejects.toBe(reason);
      expect(await runtime.listPodSandbox()).toEqual([]);
    },
  );

  it("says which sandbox is left when it cannot be removed", async () => {
    await using host = await tempRuntime();
    const { runtime } = host;
    const opening = openSandbox(
      { ...runtime, removePodSandbox: () => Promise.reject(new Error("daemon gone")) },
      { image: "base" },
    );
    const error = await opening.catch((thrown: unknown) => thrown);
    const [left] = await runtime.listPodSandbox();
    expect(error).toMatchObject({
      code: "SANDBOX_CREATE_FAILED",
      details: { podSandboxId: left?.id },
      cause: { code: "IMAGE_NOT_FOUND" },
    });
  });

  it("kills everything and removes the files when it is disposed, as often as one likes", async () => {
    await using host = await tempRuntime();
    const { runtime, images, directory } = host;
    const sandbox = await openSandbox(runtime, { image: "base", images });
    const server = sandbox.spawn(["sleep", "1000"]);
    await server.started;
    await Promise.all([sandbox[Symbol.asyncDispose](), sandbox[Symbol.asyncDispose]()]);
    await sandbox[Symbol.asyncDispose]();
    expect(await server.exit).toEqual({ exitCode: 137, signal: "SIGKILL" });
    expect(await runtime.listPodSandbox()).toEqual([]);
    expect(await readdir(join(directory, "containers"))).toEqual([]);
    await expect(sandbox.run(["true"])).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });

  it("tries again to remove what could not be removed", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    let isDown = true;
    const flaky = {
      ...runtime,
      async removePodSandbox(...call: Parameters<typeof runtime.removePodSandbox>) {
        if (isDown) throw new Error("daemon gone");
        await runtime.removePodSandbox(...call);
      },
    };
    const sandbox = await openSandbox(flaky, { image: "base", images });
    await expect(sandbox[Symbol.asyncDispose]()).rejects.toThrow("daemon gone");
    isDown = false;
    await sandbox[Symbol.asyncDispose]();
    expect(await runtime.listPodSandbox()).toEqual([]);
  });

  it("rejects when the holding process ends at once", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    const ended = Promise.withResolvers<void>();
    const opening = openSandbox(
      {
        ...runtime,
        async containerStatus(request, options) {
          await ended.promise;
          return runtime.containerStatus(request, options);
        },
        async startContainer(request, options) {
          await runtime.startContainer(request, options);
          vi.waitFor(
            async () => {
              const { status } = await runtime.containerStatus(request);
              expect(status.state).toBe("exited");
            },
            { timeout: 20_000 },
          ).then(ended.resolve, ended.reject);
        },
      },
      { image: "base", images, command: ["sh", "-c", "exit 3"] },
    );
    await expect(opening).rejects.toMatchObject({
      code: "SANDBOX_CREATE_FAILED",
      details: { exitCode: 3 },
    });
    expect(await runtime.listPodSandbox()).toEqual([]);
  });
});
