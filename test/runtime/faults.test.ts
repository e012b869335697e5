import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  admissionRules,
  allowAllPolicy,
  loadConfig,
  startWorker,
  type AdmissionOverrides,
  type JobRuntime,
  type Worker,
} from "@longshore/core";
import { containerHandler } from "@longshore/handler-container";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { describeReal } from "./fixtures/describe-real.ts";
import { findMonitor } from "./fixtures/find-monitor.ts";
import { launch } from "./fixtures/launch.ts";
import { openRealJobs, type RealJobs } from "./fixtures/real-jobs.ts";

/** Each test names a fault of other programs that this one must not have. */
describeReal("faults of others", (place) => {
  let jobs: RealJobs;
  let base = "";
  beforeAll(async () => {
    jobs = await openRealJobs(place());
    base = await jobs.images.pullImage({ image: { image: place().images.base } });
  });
  afterAll(() => jobs?.[Symbol.asyncDispose]());

  function openWorker(overrides: AdmissionOverrides = {}): Promise<Worker> {
    const policy = allowAllPolicy();
    const admission = admissionRules({
      allowedModes: ["image"],
      allowedImages: ["base"],
      ...overrides,
    });
    const { runtime, images } = jobs;
    return startWorker({
      handlers: [containerHandler({ runtime, images, policy, rules: admission, killGraceMs: 500 })],
      policy,
      admission,
      workDir: join(place().directory, "work"),
    });
  }
  const shell = (script: string, more: Partial<JobRuntime> = {}): JobRuntime => ({
    mode: "image",
    image: "base",
    cmd: ["sh", "-c", script],
    ...more,
  });
  /** Does not listen to SIGTERM, and has a child that left its session. */
  const deaf = "trap '' TERM; (setsid sleep 1000 &); echo began; while :; do sleep 0.1; done";
  const patience = { signal: AbortSignal.timeout(100_000) };

  test("F4: a container does not outlive the time-out of its job", async () => {
    const checker = await place().leaks();
    await using worker = await openWorker();
    const runtime = shell(deaf, { limits: { maxRuntimeSeconds: 3 } });
    const job = await worker.submit({ operation: "container.run", runtime });
    expect(await job.result(patience)).toMatchObject({
      status: "timeout",
      stdout: "began\n",
      exitCode: 137,
      error: { code: "TIMEOUT" },
    });
    expect(await jobs.runtime.listPodSandbox()).toEqual([]);
    await checker.check();
  });

  test("F6: cancelling ends the container of a running job, and says so of one that has ended", async () => {
    const checker = await place().leaks();
    await using worker = await openWorker();
    const job = await worker.submit({ operation: "container.run", runtime: shell(deaf) });
    await vi.waitFor(
      async () => expect(await jobs.runtime.listContainers({ state: "running" })).toHaveLength(1),
      { timeout: 20_000 },
    );
    expect(await job.cancel()).toBe("cancelling");
    expect(await job.result(patience)).toMatchObject({ status: "cancelled" });
    expect(await jobs.runtime.listPodSandbox()).toEqual([]);
    await checker.check();
    expect(await job.cancel()).toBe("cancelled");

    const done = await worker.submit({ operation: "container.run", runtime: shell("exit 0") });
    expect(await done.result(patience)).toMatchObject({ status: "completed" });
    expect(await done.cancel()).toBe("completed");
    expect(await done.result(patience)).toMatchObject({ status: "completed" });
  });

  test.each([
    ["none", "", false],
    ["an empty one", "  allowed_images: []\n", false],
    ["another's", '  allowed_images: ["registry.example/*"]\n', false],
    ["its own", '  allowed_images: ["base"]\n', true],
  ])("F8: an allow-list of a file counts: %s", async (_title, line, isAllowed) => {
    const file = join(place().directory, "worker.yaml");
    await writeFile(file, `policy:\n  allowed_modes: ["image"]\n${line}`);
    const { config } = await loadConfig({ file, env: {} });
    const { allowedImages, allowedModes } = config.policy;
    await using worker = await openWorker({ allowedImages, allowedModes });
    const submitted = worker.submit({ operation: "container.run", runtime: shell("true") });
    if (isAllowed) {
      expect(await (await submitted).result(patience)).toMatchObject({ status: "completed" });
    } else {
      await expect(submitted).rejects.toMatchObject({ code: "IMAGE_NOT_ALLOWED" });
    }
  });

  test("F9: variables are nothing but variables, whatever they are called and hold", async () => {
    await using worker = await openWorker();
    const env = {
      PRIVILEGED: "--privileged",
      V: "-v /:/host",
      LINES: "one\nLD_PRELOAD=/evil.so\n--net=host",
    };
    const script =
      'printf "%s|" "$PRIVILEGED" "$V" "$LINES" "${LD_PRELOAD-unset}"; ls -d /host; grep CapEff /proc/self/status';
    const job = await worker.submit({
      operation: "container.run",
      runtime: shell(script, { env }),
    });
    const { stdout } = await job.result(patience);
    expect(stdout).toContain(`${env.PRIVILEGED}|${env.V}|${env.LINES}|unset|`);
    expect(stdout).not.toContain("/host\n");
    expect(stdout).not.toMatch(/CapEff:\s+000001ffffffffff/);
  });

  test.each(["--privileged", "-e", "--volume=/:/host", "A=B", "A\nB"])(
    "F9: %j is refused as a variable, or is one",
    async (name) => {
      await using worker = await openWorker();
      const runtime = shell("tr '\\0' '|' < /proc/self/environ; ls -d /host", {
        env: { [name]: "x" },
      });
      try {
        const job = await worker.submit({ operation: "container.run", runtime });
        const { stdout, status } = await job.result(patience);
        if (status === "completed") expect(`|${stdout}`).toContain(`|${name}=x|`);
        expect(stdout ?? "").not.toContain("/host");
      } catch (error) {
        expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
      }
    },
  );

  test.each(["--privileged", "-v", "-it base", "base --privileged", "base\n--privileged"])(
    "F9: %j is no image",
    async (image) => {
      await using worker = await openWorker({ allowedImages: ["*"] });
      const run = async (): Promise<unknown> => {
        const runtime = shell("true", { image });
        const job = await worker.submit({ operation: "container.run", runtime });
        const { status, error } = await job.result(patience);
        expect(status).toBe("failed");
        throw Object.assign(new Error("failed"), { code: error?.code });
      };
      await expect(run()).rejects.toMatchObject({
        code: expect.stringMatching(/^(VALIDATION_ERROR|IMAGE_NOT_ALLOWED)$/),
      });
      expect(await jobs.runtime.listPodSandbox()).toEqual([]);
    },
  );

  test.each([
    ["exit 0", { exitCode: 0, reason: "Completed" }],
    ["exit 7", { exitCode: 7, reason: "Error" }],
    ["exit 255", { exitCode: 255, reason: "Error" }],
    ["kill -SEGV $$", { exitCode: 139, reason: "Error" }],
  ])("F24: the exit code is what the kernel says: %s", async (script, expected) => {
    const command = ["sh", "-c", `sh -c '${script}'; exit $?`];
    await using container = await launch(jobs.runtime, { image: base, command });
    expect(await container.ended()).toMatchObject(expected);
  });

  test.each([
    ["trap 'exit 3' TERM", 3],
    ["trap 'kill -KILL 1; exit 4' TERM", 4],
    ["trap '' TERM", 137],
  ])("F24: the exit code of a stopped container is its own: %s", async (trap, exitCode) => {
    const script = `${trap}; : > /ready; while :; do sleep 0.05; done`;
    await using container = await launch(jobs.runtime, {
      image: base,
      command: ["sh", "-c", script],
    });
    await container.sh("until [ -e /ready ]; do sleep 0.02; done");
    const { containerId } = container;
    await jobs.runtime.stopContainer({ containerId, timeout: 2 });
    expect(await container.ended()).toMatchObject({ exitCode });
  });

  test("F24: an exit code that nobody knows is said to be unknown, and nothing runs on", async () => {
    const command = ["sleep", "1000"];
    await using container = await launch(jobs.runtime, { image: base, command });
    process.kill(await findMonitor(container.containerId), "SIGKILL");
    await vi.waitFor(
      async () => {
        const { status } = await jobs.runtime.containerStatus(container);
        expect(status).toMatchObject({
          state: "unknown",
          message: expect.stringMatching(/monitor/),
        });
      },
      { timeout: 20_000 },
    );
  });

  test("F24: the exit code of a container that never ran is none of a program", async () => {
    const { runtime } = jobs;
    await expect(
      launch(runtime, { image: base, command: ["/no/such/program"] }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
  });
});
