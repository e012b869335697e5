import { once } from "node:events";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { JobResult } from "@longshore/core";
import { leakChecker, type LeakChecker } from "@longshore/testkit";
import { followProgress, requestCancel, waitForResult } from "@longshore/transport-file";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { buildBusyboxImage } from "./fixtures/busybox-image.ts";
import {
  longshoreCommand,
  longshoreWorker,
  startLongshore,
  type CommandOutput,
  type WorkerProcess,
} from "./fixtures/longshore.ts";
import { run } from "./fixtures/sample-images.ts";

let root = "";
let image = "";
let cwd = "";
let checker: LeakChecker;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "longshore-worker-containers-"));
  image = await buildBusyboxImage(root);
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** A directory for a worker of its own. */
async function enter(): Promise<void> {
  cwd = await mkdtemp(join(root, "worker-"));
  checker = await leakChecker({ marks: [cwd], roots: [cwd], linkPrefixes: [] });
}

/** Fails when anything is left, and takes it away, so that a test that fails harms no other. */
async function leave(): Promise<void> {
  const left = await readdir(join(cwd, "home", "sandboxes")).catch(() => []);
  const sandboxes = left.filter((name) => /^[0-9a-f]{64}$/.test(name));
  if (sandboxes.length > 0) await longshore("sandbox rm", ...sandboxes);
  await checker.check();
  if (sandboxes.length > 0) throw new Error(`sandboxes were left: ${sandboxes.join(", ")}`);
}

async function writeConfig(
  policy: object = { allowed_modes: ["handler", "image", "build"], allowed_images: [image] },
): Promise<void> {
  const worker = { id: "w1", kill_grace_seconds: 1, results_dir: "results" };
  const config = { home: "home", worker, policy };
  await writeFile(join(cwd, "worker.json"), JSON.stringify(config));
}

async function startWorker(policy?: object): Promise<WorkerProcess> {
  await writeConfig(policy);
  return longshoreWorker(["--config", "worker.json"], { cwd });
}

/** `longshore NAME --home home ARGS`; what follows a container's command is the command's */
function longshore(name: string, ...args: readonly string[]): Promise<CommandOutput> {
  const words = [...name.split(" "), "--home", "home", ...args];
  return startLongshore(words, { cwd }).ended;
}

async function submit(
  document: Record<string, unknown> & { readonly job_id: string },
): Promise<void> {
  const path = join(cwd, "jobs", document.job_id);
  await writeFile(`${path}.tmp`, JSON.stringify(document));
  await rename(`${path}.tmp`, `${path}.json`);
}
const places = (): { jobsDir: string; resultsDir: string } => ({
  jobsDir: join(cwd, "jobs"),
  resultsDir: join(cwd, "results"),
});
const result = (jobId: string): Promise<JobResult> =>
  waitForResult({ ...places(), jobId, signal: AbortSignal.timeout(60_000) });

/** A job that is a shell script in the image. */
function scriptJob(jobId: string, script: string, rest: object = {}) {
  const runtime = { mode: "image", image, cmd: ["sh", "-c", script], ...rest };
  return { version: "1.0", job_id: jobId, operation: "demo.run", runtime };
}

/** Resolves when a job has written a line of output. */
async function says(jobId: string, line: string): Promise<void> {
  const { resultsDir } = places();
  for await (const { message } of followProgress({ resultsDir, jobId })) {
    if (message.includes(line)) return;
  }
}

async function expectNoContainers(): Promise<void> {
  expect(await longshore("sandbox ls")).toMatchObject({ exitCode: 0, stdout: "" });
}

describe("longshore worker with images allowed", () => {
  let worker: WorkerProcess;
  beforeAll(async () => {
    await enter();
    worker = await startWorker();
  });
  afterAll(async () => {
    const exitCode = await worker.end("SIGTERM");
    await leave();
    if (exitCode !== 0) throw new Error(`the worker ended with ${exitCode}: ${worker.log()}`);
  });

  it("runs a job in a container, with its input, output and artifacts", async () => {
    await submit({
      ...scriptJob("new", 'read line; echo "$line"; echo kept > $WORKER_ARTIFACTS_DIR/a.txt', {
        params: { delivery: "stdin", format: "json" },
        output: { format: "json", artifacts: ["*.txt"] },
      }),
      payload: { data: { a: [1, 2] } },
    });
    expect(await result("new")).toMatchObject({
      status: "completed",
      exitCode: 0,
      data: { a: [1, 2] },
      outputs: { artifacts: [{ path: "a.txt" }] },
    });
  });

  it("runs a document of version 0 as it is", async () => {
    const old = {
      protocol_version: 1,
      job_id: "old",
      task: { type: "render", payload: { frame: 7 } },
      runtime: {
        mode: "image",
        image,
        cmd: ["sh", "-c", 'cat; echo "$A"'],
        env: { A: "1" },
        limits: { memory_mb: 64, max_runtime_seconds: 30 },
      },
    };
    await submit(old);
    const { status, exitCode, stdout = "" } = await result("old");
    expect({ status, exitCode }).toEqual({ status: "completed", exitCode: 0 });
    const file = await readFile(join(places().resultsDir, "old-result.json"), "utf8");
    expect(JSON.parse(file)).toMatchObject({ version: "1.0", status: "completed" });
    const [document = "", word] = stdout.split("\n");
    expect(JSON.parse(document)).toEqual(old);
    expect(word).toBe("1");
  });

  it("shows what runs to other commands, and ends it when it is cancelled", async () => {
    await submit(scriptJob("unwanted", "sleep 778 & echo began; wait"));
    await says("unwanted", "began");
    const listed = await longshore("ps");
    expect(JSON.parse(listed.stdout)).toMatchObject({ name: "unwanted", state: "running" });
    const inside = await longshore("exec", "unwanted", "sh", "-c", "echo inside; exit 3");
    expect(inside).toMatchObject({ exitCode: 3, stdout: "inside\n" });
    expect(await longshore("logs", "unwanted")).toMatchObject({ exitCode: 0, stdout: "began\n" });
    await requestCancel({ jobsDir: places().jobsDir, jobId: "unwanted" });
    expect(await result("unwanted")).toMatchObject({ status: "cancelled", stdout: "began\n" });
    await expectNoContainers();
  });

  it("ends all of a job when its time is over", async () => {
    const stubborn = "trap '' TERM; (trap '' TERM; sleep 777) & echo began; sleep 777; wait";
    await submit(scriptJob("slow", stubborn, { limits: { max_runtime_seconds: 2 } }));
    expect(await result("slow")).toMatchObject({
      status: "timeout",
      stdout: "began\n",
      error: { code: "TIMEOUT" },
    });
    await expectNoContainers();
  });

  it("refuses an image that is not allowed, and asks nobody for it", async () => {
    const asked: Socket[] = [];
    const registry = createServer((socket) => asked.push(socket)).listen(0, "127.0.0.1");
    await once(registry, "listening");
    const { port } = registry.address() as AddressInfo;
    const forbidden = [`127.0.0.1:${port}/some/image:1`, image.replace(":busybox", ":other")];
    for (const [index, name] of forbidden.entries()) {
      await submit(scriptJob(`evil-${index}`, "true", { image: name }));
      await expect(result(`evil-${index}`)).rejects.toMatchObject({ code: "IMAGE_NOT_ALLOWED" });
    }
    expect(asked).toEqual([]);
    registry.close();
  });

  it("builds images, under names of their own", async () => {
    await submit({
      version: "1.0",
      job_id: "built",
      operation: "demo.build",
      runtime: {
        mode: "build",
        build: {
          dockerfile: "FROM scratch\nCOPY note /note\n",
          context: { note: "hello\n" },
          tag: "localhost/mine:1",
        },
        cmd: ["/note"],
      },
    });
    // What was built holds no program; it is in the store all the same.
    expect(await result("built")).toMatchObject({ status: "failed" });
    expect((await longshore("image ls")).stdout).toContain("localhost/mine:1");
  });

  it("builds images without names, and keeps none of them", async () => {
    await submit({
      version: "1.0",
      job_id: "nameless",
      operation: "demo.build",
      runtime: {
        mode: "build",
        build: { dockerfile: "FROM scratch\nCOPY word /word\n", context: { word: "hello\n" } },
        cmd: ["/word"],
      },
    });
    expect(await result("nameless")).toMatchObject({ status: "failed" });
    expect((await longshore("image ls")).stdout).not.toContain("longshore-build");
  });

  it("advertises them, also while another process has the engine", async () => {
    const detected = await longshore("worker", "--config", "worker.json", "--detect-only");
    expect(JSON.parse(detected.stdout)).toMatchObject({
      capabilities: {
        operations: expect.arrayContaining(["container.run", "image.run"]),
        sandboxBackends: expect.arrayContaining([
          expect.objectContaining({ name: "runc", available: true }),
        ]),
      },
    });
  });
});

describe("longshore worker", () => {
  beforeEach(enter);
  afterEach(leave);

  it("uses the containers of a process that keeps them already, and takes over from it", async () => {
    await using keeper = startLongshore(["runtime", "--home", "home"], {
      cwd,
    });
    await vi.waitFor(() => expect(keeper.output().stderr).toContain("ready"), { timeout: 60_000 });
    await using worker = await startWorker();
    expect(worker.log()).toContain("another process keeps the containers");
    await submit(scriptJob("there", "echo by the keeper"));
    expect(await result("there")).toMatchObject({ stdout: "by the keeper\n" });

    await submit(scriptJob("cut-off", "echo began; exec sleep 779"));
    await says("cut-off", "began");
    keeper.child.kill("SIGKILL");
    await keeper.ended;
    expect(await result("cut-off")).toMatchObject({
      status: "failed",
      error: { code: "RUNTIME_UNAVAILABLE" },
    });
    await submit(scriptJob("here", "echo by the worker"));
    expect(await result("here")).toMatchObject({ stdout: "by the worker\n" });
    await expectNoContainers();
    expect(await worker.end("SIGTERM")).toBe(0);
  });

  it("removes what a worker that was killed left running", async () => {
    {
      await using worker = await startWorker();
      await submit(scriptJob("orphan", "echo began; exec sleep 780"));
      await says("orphan", "began");
      await worker.end("SIGKILL");
    }
    // Without its job, which would clear up by itself when it is tried again.
    await rm(join(cwd, "jobs"), { recursive: true });
    await rm(join(cwd, "home", "jobs.db"));
    await using worker = await startWorker();
    await expectNoContainers();
    expect(await worker.end("SIGTERM")).toBe(0);
  });

  it("opens no engine unless the policy lets in a mode that needs one", async () => {
    await using worker = await startWorker({ allowed_modes: ["handler", "process"] });
    expect(await worker.end("SIGTERM")).toBe(0);
    expect((await readdir(join(cwd, "home"))).filter((name) => /^[inrs]/.test(name))).toEqual([]);
  });

  it("gives jobs the network that they ask for and the policy allows, and no more", async ({
    skip,
  }) => {
    const host = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === "IPv4" && !one.internal)?.address;
    skip(host === undefined, "this machine has no address but loopback");
    const server = createHttpServer((_request, response) => response.end("served\n"));
    server.listen(0, host);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const allowed = `${host}:${port}`;
    // BusyBox' wget wants libraries that its image has not.
    const get = [
      `to=\${http_proxy:-http://${allowed}}; to=\${to#http://}; to=\${to%/}`,
      // Its input stays open: nc would else part before the answer.
      "cd /tmp; mkfifo in; exec 3<>in",
      `printf 'GET http://${allowed}/ HTTP/1.1\\r\\nHost: ${allowed}\\r\\nConnection: close\\r\\n\\r\\n' >&3`,
      "nc -w 5 ${to%:*} ${to#*:} <in | grep served || echo none; grep -c eth /proc/net/dev",
    ].join("\n");
    await using worker = await startWorker({
      allowed_modes: ["image"],
      allowed_images: [image],
      network: "egress",
      allowed_hosts: [allowed, "*"],
    });
    await submit(scriptJob("asks", get, { sandbox: { network: { allow: [allowed] } } }));
    await submit(scriptJob("silent", get));
    expect(await result("asks")).toMatchObject({ stdout: "served\n1\n" });
    expect(await result("silent")).toMatchObject({ stdout: "none\n0\n" });
    const refused = [{ allow: [`${host}:1`] }, "bridge", "host"];
    for (const [index, network] of refused.entries()) {
      await submit(scriptJob(`refused-${index}`, get, { sandbox: { network } }));
      const code = network === "host" ? "VALIDATION_ERROR" : "POLICY_DENIED";
      expect(await result(`refused-${index}`)).toMatchObject({ status: "failed", error: { code } });
    }
    for (const name of ["mounts", "ports"]) {
      await submit(scriptJob(name, get, { sandbox: { [name]: [{ hostPath: "/etc" }] } }));
      await expect(result(name)).rejects.toMatchObject({ code: "POLICY_DENIED" });
    }
    expect(await worker.end("SIGTERM")).toBe(0);
    server.close();
  });

  it("says what is missing when no container can be run here", async () => {
    await writeConfig();
    const withoutCgroups = 'umount --lazy --recursive /sys/fs/cgroup && exec "$@"';
    const command = [
      process.execPath,
      longshoreCommand,
      "worker",
      "--config",
      join(cwd, "worker.json"),
    ];
    const ended = run("unshare", "--mount", "sh", "-c", withoutCgroups, "sh", ...command);
    await expect(ended).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/Containers need one of runc, crun.*no cgroups are mounted/),
    });
  });
});
