import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { buildBusyboxImage } from "./fixtures/busybox-image.ts";
import {
  cleanEnv,
  longshoreCommand,
  startLongshore,
  type CommandOutput,
  type RunningCommand,
} from "./fixtures/longshore.ts";
import { run } from "./fixtures/sample-images.ts";

let directory = "";
let image = "";
let home = "";
let keeper: RunningCommand;

const startAt = (args: readonly string[], input?: string): RunningCommand =>
  startLongshore([...args], {
    cwd: directory,
    ...(input !== undefined && { input }),
  });
/** `longshore NAME --home … ARGS` */
const longshore = (name: string, ...args: readonly string[]): Promise<CommandOutput> =>
  startAt([...name.split(" "), "--home", home, ...args]).ended;

async function answer(name: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await longshore(name, ...args);
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function answers(
  name: string,
  ...args: readonly string[]
): Promise<readonly Record<string, unknown>[]> {
  const { exitCode, stdout, stderr } = await longshore(name, ...args);
  expect(exitCode, stderr).toBe(0);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Runs a command on a terminal of 100 columns and gives what one sees on it. */
function onTerminal(name: string, ...args: readonly string[]): Promise<string> {
  const command = [process.execPath, longshoreCommand, name, "--home", home, ...args];
  const environment = Object.entries({ ...cleanEnv(), TERM: "xterm" });
  return run(
    "env",
    "-i",
    ...environment.map(([key, value]) => `${key}=${value}`),
    "script",
    "--quiet",
    "--return",
    "--command",
    `stty rows 40 cols 100; ${command.map((word) => `'${word}'`).join(" ")}`,
    "/dev/null",
  );
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-container-cli-"));
  home = join(directory, "home");
  image = await buildBusyboxImage(directory);
  keeper = await startKeeper();
});
afterAll(async () => {
  const left = await longshore("ps", "--all");
  for (const line of left.stdout.split("\n").filter((text) => text !== "")) {
    const { container_id: id } = JSON.parse(line) as { container_id: string };
    await longshore("rm", "--force", id);
  }
  keeper.child.kill("SIGTERM");
  const { exitCode, stderr } = await keeper.ended;
  const mounts = await readFile("/proc/mounts", "utf8");
  const leftovers = mounts.split("\n").filter((line) => line.includes(directory));
  const bridge = `ls${createHash("sha256").update(home).digest("hex").slice(0, 10)}`;
  if ((await readdir("/sys/class/net")).includes(bridge)) leftovers.push(bridge);
  await rm(directory, { recursive: true, force: true });
  if (left.stdout === "" && leftovers.length === 0 && exitCode === 0) return;
  throw new Error(`left behind (${exitCode}): ${left.stdout} ${leftovers.join(" ")} ${stderr}`);
});

/** The process that keeps the containers, in the foreground; tries again while one in the background is leaving. */
async function startKeeper(): Promise<RunningCommand> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const started = startAt(["runtime", "--home", home]);
    const ended = started.ended.then(() => "ended");
    const ready = vi.waitUntil(() => started.output().stderr.includes("ready"), {
      timeout: 60_000,
    });
    const outcome = await Promise.race([ended, ready]);
    ready.catch(() => undefined);
    if (outcome !== "ended") return started;
  }
  throw new Error("no keeper could be started");
}

describe("longshore run", () => {
  it("runs a command in a new container, with its outputs apart and its exit code", async () => {
    const script = 'echo "out of $(hostname)"; echo err >&2; exit 3';
    const ended = await longshore("run", "--name", "one", image, "sh", "-c", script);
    expect(ended).toMatchObject({ exitCode: 3, stdout: "out of one\n" });
    expect(ended.stderr).toContain("err\n");
    expect(await answers("ps", "--all")).toEqual([]);
  });

  it("takes a command after --, and leaves its flags alone", async () => {
    const { stdout } = await longshore("run", image, "--", "echo", "--network", "-it", "--");
    expect(stdout).toBe("--network -it --\n");
  });

  it("gives it standard input", async () => {
    const { ended } = startAt(
      ["run", "--home", home, "-i", image, "wc", "-c"],
      "x".repeat(300_000),
    );
    expect((await ended).stdout.trim()).toBe("300000");
  });

  it("gives it a terminal of the same size", async () => {
    const seen = await onTerminal("run", "-it", image, "sh", "-c", "stty size; tty");
    expect(seen).toContain("40 100");
    expect(seen).toContain("/dev/pts/0");
  });

  it("gives it no network but loopback, no new rights, and only what it may have", async () => {
    const script = "ip -o link | wc -l; grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status";
    const { stdout } = await longshore("run", "--cap-drop", "ALL", image, "sh", "-c", script);
    expect(stdout.replaceAll(/[ \t]+/g, " ").split("\n")).toEqual([
      "1",
      "CapEff: 0000000000000000",
      "NoNewPrivs: 1",
      "Seccomp: 2",
      "",
    ]);
  });

  it("sets user, directory, environment, volumes and limits", async () => {
    await writeFile(join(directory, "note.txt"), "from the host\n");
    const { stdout, stderr, exitCode } = await longshore(
      "run",
      "--user",
      "guest",
      "--workdir",
      "/home/guest",
      "--env",
      "NOTE=a b",
      "--volume",
      `${join(directory, "note.txt")}:/note.txt:ro`,
      "--pids",
      "32",
      "--memory",
      "64m",
      image,
      "sh",
      "-c",
      "id -u; pwd; echo $NOTE; cat /note.txt; echo no > /note.txt",
    );
    expect(stdout, stderr).toBe("1000\n/home/guest\na b\nfrom the host\n");
    expect(exitCode).not.toBe(0);
  });

  it.each([
    {
      script: "trap 'echo got it; exit 9' INT; echo on; while :; do sleep 0.1; done",
      signal: "SIGINT",
      exitCode: 9,
    },
    { script: "echo on; exec sleep 99", signal: "SIGTERM", exitCode: 143 },
  ] as const)(
    "hands $signal on: the exit code is $exitCode",
    async ({ script, signal, exitCode }) => {
      await using command = startAt(["run", "--home", home, image, "sh", "-c", script]);
      await vi.waitFor(() => expect(command.output().stdout).toContain("on"), { timeout: 60_000 });
      command.child.kill(signal);
      expect((await command.ended).exitCode).toBe(exitCode);
    },
  );

  it.each([
    {
      args: ["no-such-image-here:1", "true"],
      exitCode: 125,
      says: "no-such-image-here",
      pull: "never",
    },
    { args: ["IMAGE", "no-such-program"], exitCode: 127, says: "no-such-program" },
    { args: ["IMAGE", "/etc/passwd"], exitCode: 126, says: "/etc/passwd" },
    { args: ["--memory", "lots", "IMAGE"], exitCode: 125, says: "--memory takes a size" },
    { args: ["--publish", "99999", "IMAGE"], exitCode: 125, says: "--publish takes" },
    { args: ["--user", "nobody-here", "IMAGE", "true"], exitCode: 125, says: "nobody-here" },
    {
      args: ["--volume", "/no/such/place:/x", "IMAGE", "true"],
      exitCode: 125,
      says: "/no/such/place",
    },
    { args: ["--network", "none", "--egress", "x.org", "IMAGE"], exitCode: 125, says: "--network" },
  ])(
    "ends with $exitCode and says what is wrong: $args",
    async ({ args, exitCode, says, pull }) => {
      const words = args.map((word) => (word === "IMAGE" ? image : word));
      const ended = await longshore("run", "--pull", pull ?? "missing", ...words);
      expect(ended).toMatchObject({ exitCode, stdout: "" });
      expect(ended.stderr).toContain(says);
      expect(await answers("ps", "--all")).toEqual([]);
    },
  );
});

describe("containers that stay", () => {
  it("are listed, entered, read, stopped and removed", async () => {
    const script = "echo first; echo second >&2; exec sleep 1000";
    const started = await answer("run", "--detach", "--name", "stays", image, "sh", "-c", script);
    const id = String(started["container_id"]);
    expect(await answers("ps")).toEqual([
      expect.objectContaining({ container_id: id, name: "stays", state: "running", image }),
    ]);
    const inside = await longshore("exec", "stays", "sh", "-c", "echo $0 $1; exit 4", "a b", "--c");
    expect(inside).toMatchObject({ exitCode: 4, stdout: "a b --c\n" });
    const taken = await longshore("run", "--detach", "--name", "stays", image, "sleep", "1");
    expect(taken.exitCode === 0 || taken.stderr.includes("stays")).toBe(true);
    if (taken.exitCode === 0) {
      const { container_id: second } = JSON.parse(taken.stdout) as { container_id: string };
      expect((await longshore("exec", "stays", "true")).stderr).toContain("may mean any of");
      await longshore("rm", "--force", second);
    }

    const logs = await longshore("logs", id.slice(0, 10));
    expect(logs).toMatchObject({ exitCode: 0, stdout: "first\n", stderr: "second\n" });
    const stamped = await longshore("logs", "--timestamps", "--tail", "1", "stays");
    // Which of two streams is written first is nobody's promise.
    expect(stamped.stdout + stamped.stderr).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z (first|second)\n$/);
    await using following = startAt(["logs", "--home", home, "--follow", "stays"]);
    await vi.waitFor(() => expect(following.output().stdout).toBe("first\n"), { timeout: 60_000 });

    const [stats] = await answers("stats", "--no-stream", "stays");
    expect(stats).toMatchObject({ container_id: id, name: "stays" });
    expect(stats?.["memory_bytes"]).toBeGreaterThan(0);

    const refused = await longshore("rm", "stays");
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain("stop it first");
    expect((await longshore("stop", "--time", "0", "stays")).exitCode).toBe(0);
    expect((await following.ended).exitCode).toBe(0);
    expect(await answers("ps")).toEqual([]);
    expect(await answers("ps", "--all")).toEqual([
      expect.objectContaining({ container_id: id, state: "exited", exit_code: 137 }),
    ]);
    expect((await longshore("rm", "stays")).exitCode).toBe(0);
    expect(await answers("ps", "--all")).toEqual([]);
    expect((await longshore("exec", "stays", "true")).stderr).toContain('no container "stays"');
  });

  it("go on while the process that keeps them is killed, and are found again", async () => {
    const script = "echo before; while [ ! -e /go ]; do sleep 0.05; done; echo after; exit 5";
    await longshore("run", "--detach", "--name", "survivor", image, "sh", "-c", script);
    keeper.child.kill("SIGKILL");
    await keeper.ended;
    // The next command starts a keeper of its own.
    expect((await longshore("exec", "survivor", "touch", "/go")).exitCode).toBe(0);
    const logs = await longshore("logs", "--follow", "survivor");
    expect(logs.stdout).toBe("before\nafter\n");
    expect(await answers("ps", "--all")).toContainEqual(
      expect.objectContaining({ name: "survivor", state: "exited", exit_code: 5 }),
    );
    expect((await longshore("rm", "survivor")).exitCode).toBe(0);
    keeper = await startKeeper();
  });
});

describe("longshore sandbox", () => {
  it("makes sandboxes that stay, from flags and a file", async () => {
    const file = join(directory, "box.yaml");
    await writeFile(file, `image: "${image}"\nname: filed\nenv: { COLOR: red }\nmemory_mb: 64\n`);
    const made = await answer("sandbox create", "--spec", file, "--env", "COLOR=blue");
    expect(made).toMatchObject({ name: "filed" });
    const inside = await longshore("exec", "filed", "sh", "-c", "echo $COLOR");
    expect(inside.stdout).toBe("blue\n");
    expect(await answers("sandbox ls")).toEqual([
      expect.objectContaining({ name: "filed", state: "ready" }),
    ]);
    expect((await longshore("sandbox rm", "filed")).exitCode).toBe(0);
    expect(await answers("sandbox ls")).toEqual([]);
    const wrong = await longshore("sandbox create", "--spec", longshoreCommand);
    expect(wrong.exitCode).not.toBe(0);
  });
});

describe("longshore run without root", () => {
  const uid = 54_322;
  const mine = async (): Promise<readonly string[]> => {
    const mounts = await readFile("/proc/mounts", "utf8");
    const { stdout } = await runAs(["ps", "-u", String(uid), "-o", "args="]);
    const processes = stdout.split("\n").filter((line) => /longshore|sleep/.test(line));
    return [
      ...processes,
      ...mounts.split("\n").filter((line) => line.includes(`${directory}/own/`)),
    ];
  };
  const runAs = ([command = "", ...args]: readonly string[]): Promise<{ stdout: string }> =>
    run(command, ...args).then(
      (stdout) => ({ stdout }),
      // ps has found nothing.
      () => ({ stdout: "" }),
    );

  it("runs, keeps, enters and removes containers as a user who may do nothing else", async () => {
    const own = join(directory, "own");
    const ownHome = join(own, "home");
    await mkdir(own);
    await run("cp", "-r", join(directory, "layout"), own);
    await run("chown", "-R", `${uid}:${uid}`, own);
    await chmod(directory, 0o711);
    const ownImage = `oci:${join(own, "layout")}:busybox`;
    const start = (args: readonly string[], input?: string): RunningCommand => {
      const given = input === undefined ? {} : { input };
      return startLongshore(args, { cwd: own, uid, ...given });
    };
    const as = (name: string, ...args: readonly string[]): Promise<CommandOutput> =>
      start([name, "--home", ownHome, ...args]).ended;
    {
      await using keeping = start(["runtime", "--home", ownHome]);
      await vi.waitFor(() => expect(keeping.output().stderr).toContain("ready"), {
        timeout: 60_000,
      });
      const script = "id -u; cat; cut -d: -f1 /proc/net/dev | tail -n +3; echo said >&2; exit 3";
      const command = ["run", "--interactive", "--home", ownHome, ownImage, "sh", "-c", script];
      const ended = await start(command, "given\n").ended;
      expect(ended).toMatchObject({
        exitCode: 3,
        stdout: expect.stringMatching(/^0\ngiven\n\s*lo\n$/),
      });
      expect(ended.stderr).toContain("said\n");
      const limited = await as("run", "--memory", "64", ownImage, "true");
      expect(limited.exitCode).toBe(125);
      expect(limited.stderr).toContain("no cgroup controller");

      await as("run", "--detach", "--name", "stays", ownImage, "sh", "-c", "echo up; sleep 1000");
      const inside = await as("exec", "stays", "sh", "-c", "echo $$ inside; exit 4");
      expect(inside).toMatchObject({ exitCode: 4, stdout: expect.stringContaining("inside\n") });
      await vi.waitFor(async () => expect((await as("logs", "stays")).stdout).toBe("up\n"), {
        timeout: 20_000,
      });
      expect((await as("rm", "--force", "stays")).exitCode).toBe(0);
      expect((await as("ps", "--all")).stdout).toBe("");
      keeping.child.kill("SIGTERM");
      expect(await keeping.ended).toMatchObject({ exitCode: 0 });
    }
    await vi.waitFor(async () => expect(await mine()).toEqual([]), { timeout: 20_000 });
  });
});
