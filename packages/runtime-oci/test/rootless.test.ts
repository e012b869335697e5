import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canRun, run, text } from "./fixtures/test-machine.ts";
import { busyboxRoot } from "./spec/busybox-root.ts";
import { tempDir } from "./spec/temp-dir.ts";

const uid = 54_321;
const program = fileURLToPath(new URL("fixtures/rootless-program.ts", import.meta.url));

describe.skipIf(!canRun)(
  "containers without root (needs root to become nobody, runc, busybox)",
  () => {
    let directory: Awaited<ReturnType<typeof tempDir>>;
    let path: string;
    beforeAll(async () => {
      directory = await tempDir();
      path = join(directory.path, "home");
      await chmod(directory.path, 0o711);
      await mkdir(join(path, "image"), { recursive: true });
      await busyboxRoot(join(path, "image"));
      await run("chown", ["-hR", `${uid}:${uid}`, path]);
    });
    afterAll(async () => {
      const left = await ownProcesses();
      const mounts = await readFile("/proc/self/mounts", "utf8");
      left.push(...mounts.split("\n").filter((line) => line.includes(path)));
      for (const notes of ["sandboxes", "state"]) {
        left.push(...(await readdir(join(path, "state", notes)).catch(() => [])));
      }
      await directory[Symbol.asyncDispose]();
      if (left.length > 0) throw new Error(`left on the machine: ${left.join("; ")}`);
    });

    const start = (task: string): ChildProcessWithoutNullStreams =>
      spawn(process.execPath, ["--conditions=@longshore/source", program, path, task], {
        uid,
        gid: uid,
        cwd: "/",
        env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin`, HOME: path },
      });
    const resultOf = async (task: string): Promise<Record<string, unknown>> => {
      const child = start(task);
      const errors = text(child.stderr);
      const output = await text(child.stdout);
      expect(await errors).toBe("");
      return JSON.parse(output) as Record<string, unknown>;
    };
    /** Processes of the test's user that belong to its sandboxes. */
    const ownProcesses = async (): Promise<string[]> => {
      // `ps` calls it a failure when a user has no processes.
      const { stdout } = await run("ps", ["-eo", "uid=,args="]);
      const own = new RegExp(String.raw`^ *${uid} (longshore-monitor|init|.*sleep 4321)`);
      return stdout.split("\n").filter((line) => own.test(line));
    };

    it("run with what a user has, and refuse the rest", async () => {
      const result = await resultOf("all");
      expect(result).toMatchObject({
        isAvailable: true,
        capabilities: ["survivesRestart"],
        plain: {
          exitCode: 7,
          errors: "",
          said: expect.stringMatching(/^0\n\s+0\s+54321\s+1\nlo\nbox\n$/),
        },
        overlay: { exitCode: 1, said: "0\n" },
        execSaid: ["out\ninput", "err\n"],
        execExit: 3,
        terminalSaid: expect.stringMatching(/^\/dev\/pts\/\d/),
        written: "by nobody",
        killed: "SIGKILL",
        ownSaid: { exitCode: 0, said: "1\n" },
        served: "hello\n",
        refusals: {
          user: "RUNTIME_NOT_SUPPORTED user",
          memory: "RUNTIME_NOT_SUPPORTED memoryLimitInBytes",
          pids: "RUNTIME_NOT_SUPPORTED unified",
          cpu: "RUNTIME_NOT_SUPPORTED cpuQuota",
          groups: "RUNTIME_NOT_SUPPORTED supplementalGroups",
          network: "RUNTIME_NOT_SUPPORTED namespaceOptions.network",
          hostNetwork: "RUNTIME_NOT_SUPPORTED namespaceOptions.network",
          hostPids: "RUNTIME_NOT_SUPPORTED namespaceOptions.pid",
        },
      });
      expect(await ownProcesses()).toEqual([]);
    });

    it("are found again after the program was killed, and nothing stays of the forgotten", async () => {
      const child = start("up");
      const errors = text(child.stderr);
      const [first] = (await Promise.race([once(child.stdout, "data"), once(child, "exit")])) as [
        unknown,
      ];
      if (!Buffer.isBuffer(first)) throw new Error(await errors);
      child.kill("SIGKILL");
      await once(child, "exit");
      const { stdout } = await run("ps", ["-u", String(uid), "-o", "pid=,args="]);
      const monitor = /^\s*(\d+) longshore-monitor orphan/m.exec(stdout)?.[1];
      process.kill(Number(monitor), "SIGKILL");
      expect(await resultOf("recover")).toEqual({
        said: "word\n",
        exits: [5, 6],
        orphanExit: "unknown",
      });
      expect(await ownProcesses()).toEqual([]);
    });
  },
);
