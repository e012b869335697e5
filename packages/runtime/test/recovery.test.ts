import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, vi } from "vitest";
import { memoryEventBus, type SandboxDriver } from "@longshore/core";
import { openRuntime, readContainerLog } from "../src/index.ts";
import { directoryStore } from "./fixtures/directory-store.ts";
import { fileNetwork } from "./fixtures/file-network.ts";
import { killMarked } from "./fixtures/marked-processes.ts";
import { processDriver } from "./fixtures/process-driver.ts";
import {
  enginePlace,
  launch,
  podConfig,
  tempEngine,
  type EnginePlace,
} from "./fixtures/temp-engine.ts";

interface Left {
  readonly steady: Ids;
  readonly ending: Ids;
  readonly done: Ids;
  readonly dead: Ids;
  readonly others: readonly Ids[];
  readonly created: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string };
}

interface Ids {
  readonly podSandboxId: string;
  readonly containerId: string;
}

/** Lets an engine run in another process until it says that everything is there. */
async function doomedEngine(
  place: EnginePlace,
  when: string,
): Promise<{ readonly child: ChildProcess; readonly left: Left }> {
  const path = fileURLToPath(new URL("fixtures/doomed-engine.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    [
      "--conditions=@longshore/source",
      "--disable-warning=ExperimentalWarning",
      path,
      place.directory,
      when,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [text] = await once(child.stdout, "data");
  return { child, left: JSON.parse(String(text)) };
}

async function killEngine(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

async function allText(directory: string): Promise<string> {
  const names = await readdir(directory, { recursive: true });
  const records = names.filter((name) => name.endsWith("record.json"));
  const texts = await Promise.all(records.map((name) => readFile(join(directory, name), "utf8")));
  for (const name of records) {
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  }
  return texts.join("\n");
}

describe("an engine that was killed", () => {
  it("leaves everything to the next one: what runs, exit codes, logs", async () => {
    await using place = await enginePlace();
    const { child, left } = await doomedEngine(place, "running");
    const { steady, ending, done, dead, others } = left;

    // One engine at a time.
    await expect(tempEngine({ place })).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await killEngine(child);
    const engineDirectory = join(place.directory, "engine");
    expect(await allText(engineDirectory)).not.toContain("the-secret-itself");

    // While nobody looks, one container ends and one sandbox dies; somebody leaves a directory.
    await writeFile(join(place.directory, "owners", ending.containerId, "go"), "");
    await killMarked(`LONGSHORE_TEST_SANDBOX=${dead.podSandboxId}`);
    const orphan = "ab".repeat(32);
    await mkdir(join(engineDirectory, orphan, "containers"), { recursive: true });

    await using engine = await tempEngine({ place });
    const { runtime } = engine;
    const stateOf = async ({ containerId }: { containerId: string }) =>
      (await runtime.containerStatus({ containerId })).status;

    expect(await stateOf(steady)).toMatchObject({ state: "running" });
    expect(await stateOf(done)).toMatchObject({ state: "exited", exitCode: 5, reason: "Error" });
    expect(await stateOf({ containerId: left.created })).toMatchObject({ state: "created" });
    expect(await stateOf(dead)).toMatchObject({ state: "exited", exitCode: 255 });
    expect((await runtime.podSandboxStatus(dead)).status.state).toBe("notready");
    await vi.waitFor(
      async () => expect(await stateOf(ending)).toMatchObject({ state: "exited", exitCode: 23 }),
      { timeout: 20_000 },
    );
    expect(await engine.records()).not.toContain(orphan);
    expect((await runtime.listPodSandbox()).length).toBe(5 + others.length);

    // Names are taken as before, and calls work on what was found.
    await expect(
      runtime.runPodSandbox({ config: { metadata: left.metadata } }),
    ).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await runtime.startContainer({ containerId: left.created });
    const raw = await runtime.execSync({
      containerId: left.created,
      cmd: ["sh", "-c", 'test -n "$RAW" && echo set'],
    });
    expect(Buffer.from(raw.stdout).toString()).toBe("set\n");
    await runtime.execSync({ ...steady, cmd: ["sh", "-c", ": > stop"] });
    await vi.waitFor(
      async () => expect(await stateOf(steady)).toMatchObject({ state: "exited", exitCode: 7 }),
      { timeout: 20_000 },
    );
    const lines: string[] = [];
    for await (const { content } of readContainerLog(join(place.directory, "logs", "steady.log"))) {
      lines.push(Buffer.from(content).toString());
    }
    expect(lines).toEqual(lines.map((_, index) => String(index + 1)));
    expect(lines.length).toBeGreaterThan(3);

    await Promise.all(others.map((one) => runtime.stopContainer({ ...one, timeout: 5 })));
    for (const one of others) expect(await stateOf(one)).toMatchObject({ exitCode: 143 });
    for (const { id } of await runtime.listPodSandbox()) {
      await runtime.removePodSandbox({ podSandboxId: id });
    }
    expect(await engine.records()).toEqual([]);
    expect(engine.processes()).toEqual([]);
    expect(await engine.network.left()).toEqual([]);
    expect(await engine.images.listOwners()).toEqual([]);
  });

  it("leaves nothing of a sandbox that was half made", async () => {
    await using place = await enginePlace();
    const { child } = await doomedEngine(place, "half-made");
    await killEngine(child);
    await using engine = await tempEngine({ place });
    expect(await engine.runtime.listPodSandbox()).toEqual([]);
    expect(await engine.records()).toEqual([]);
    expect(await engine.network.left()).toEqual([]);
    expect(engine.processes()).toEqual([]);
  });
});

describe("an engine that was closed", () => {
  it("leaves what runs to the next one", async () => {
    await using place = await enginePlace();
    const first = await tempEngine({ place });
    const podSandboxId = await first.runtime.runPodSandbox({ config: podConfig() });
    await first[Symbol.asyncDispose]();
    await expect(first.runtime.listPodSandbox()).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
    });
    await using second = await tempEngine({ place });
    expect(await second.runtime.listPodSandbox()).toMatchObject([
      { id: podSandboxId, state: "ready" },
    ]);
  });

  it("stops sandboxes whose driver does not survive it", async () => {
    await using place = await enginePlace();
    const first = await tempEngine({ place, driver: { survivesRestart: false } });
    const podSandboxId = await first.runtime.runPodSandbox({ config: podConfig() });
    await first[Symbol.asyncDispose]();
    expect(first.processes()).toEqual([]);
    await using second = await tempEngine({ place });
    expect(await second.runtime.listPodSandbox()).toMatchObject([
      { id: podSandboxId, state: "notready" },
    ]);
  });

  it("shows containers as unknown while their driver does not answer, and finds them later", async () => {
    await using place = await enginePlace();
    const first = await tempEngine({ place });
    const ids = await launch(first.runtime);
    await first[Symbol.asyncDispose]();
    {
      await using second = await tempEngine({
        place,
        driver: {
          async onStep(step) {
            if (step === "recover") throw new Error("the daemon is away");
          },
        },
      });
      const { runtime } = second;
      expect((await runtime.containerStatus(ids)).status).toMatchObject({ state: "unknown" });
      for (const call of [runtime.stopContainer(ids), runtime.removePodSandbox(ids)]) {
        await expect(call).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
      }
    }
    await using third = await tempEngine({ place });
    expect((await third.runtime.containerStatus(ids)).status).toMatchObject({ state: "running" });
    await third.runtime.removePodSandbox(ids);
  });

  it("opens though a driver never says what became of its sandboxes", async () => {
    await using place = await enginePlace();
    const first = await tempEngine({ place });
    const ids = await launch(first.runtime);
    await first[Symbol.asyncDispose]();
    {
      await using second = await tempEngine({
        place,
        recoverTimeoutMs: 50,
        driver: {
          onStep: (step) => (step === "recover" ? new Promise(() => undefined) : Promise.resolve()),
        },
      });
      const { runtime } = second;
      expect((await runtime.containerStatus(ids)).status).toMatchObject({ state: "unknown" });
      await expect(runtime.removePodSandbox(ids)).rejects.toMatchObject({
        code: "RUNTIME_UNAVAILABLE",
      });
    }
    await using third = await tempEngine({ place });
    expect((await third.runtime.containerStatus(ids)).status).toMatchObject({ state: "running" });
    await third.runtime.removePodSandbox(ids);
  });

  it("refuses a time for finding sandboxes again that is none", async () => {
    await using place = await enginePlace();
    await expect(tempEngine({ place, recoverTimeoutMs: 0 })).rejects.toThrow(RangeError);
    await expect(tempEngine({ place, log: { maxFiles: 0 } })).rejects.toThrow("log.maxFiles");
  });

  it("tells of a sandbox that nobody knows and that could not be taken down", async () => {
    await using place = await enginePlace();
    const root = place.directory;
    const images = directoryStore({ root });
    await using events = memoryEventBus();
    const told: unknown[] = [];
    events.on("worker.lost.problem", ({ data }) => void told.push(data));
    const driver: SandboxDriver = {
      ...processDriver({ root }),
      async recover(_known, { onProblem } = {}) {
        onProblem?.({ sandboxId: "lost", message: "it stays", error: new Error("busy") });
        return new Map();
      },
    };
    const runtime = await openRuntime({
      directory: join(root, "engine"),
      drivers: [driver],
      defaultHandler: "process",
      images,
      network: fileNetwork({ root: join(root, "networks") }),
      events,
    });
    await vi.waitFor(() =>
      expect(told).toEqual([
        { sandboxId: "lost", runtimeHandler: "process", message: "it stays", isGone: false },
      ]),
    );
    await runtime[Symbol.asyncDispose]();
  });
});
