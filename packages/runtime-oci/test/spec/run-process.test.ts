import { execFile, execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildContainerSpec } from "../../src/spec/build-container-spec.ts";
import { buildExecProcess } from "../../src/spec/build-exec-process.ts";
import { capabilityNames, defaultCapabilities } from "../../src/spec/capability-names.ts";
import { canRun, openBundle, type Bundle } from "./run-container.ts";

/** The mask that `/proc/PID/status` shows for capabilities. */
function mask(names: readonly string[]): string {
  const bits = names.map(
    (name) => 1n << BigInt(capabilityNames.findIndex((known) => known === name)),
  );
  return bits
    .reduce((sum, bit) => sum | bit, 0n)
    .toString(16)
    .padStart(16, "0");
}

/** Lines of `/proc/self/status` by their names. */
function parseStatus(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split("\n").map((line) => {
      const [name = "", value = ""] = line.split(":");
      return [name, value.trim().replaceAll(/\s+/g, " ")];
    }),
  );
}

describe.skipIf(!canRun)("a process that runc starts (needs root, runc and busybox)", () => {
  let bundle: Bundle;
  beforeAll(async () => {
    bundle = await openBundle();
  });
  afterAll(() => bundle[Symbol.asyncDispose]());

  const status = async (security: Parameters<Bundle["run"]>[1] = {}) => {
    const { stdout, stderr } = await bundle.run(["/bin/cat", "/proc/self/status"], security);
    expect(stderr).toBe("");
    return parseStatus(stdout);
  };

  it("has the default capabilities, no filter and no flag when nothing is said", async () => {
    const all = mask(defaultCapabilities);
    expect(await status()).toMatchObject({
      CapBnd: all,
      CapEff: all,
      CapPrm: all,
      CapInh: mask([]),
      CapAmb: mask([]),
      Seccomp: "0",
      NoNewPrivs: "0",
      Uid: "0 0 0 0",
      Gid: "0 0 0 0",
    });
  });

  it("has the capabilities, the filter and the flag that are asked for", async () => {
    const seen = await status({
      security: {
        capabilities: { addCapabilities: ["NET_ADMIN"], dropCapabilities: ["ALL"] },
        seccomp: { profileType: "runtimeDefault" },
        noNewPrivs: true,
      },
    });
    expect(seen).toMatchObject({ CapBnd: mask(["NET_ADMIN"]), Seccomp: "2", NoNewPrivs: "1" });
  });

  it("keeps ambient capabilities as another user, and loses the others", async () => {
    const seen = await status({
      security: {
        runAsUser: 1_000,
        capabilities: { addAmbientCapabilities: ["NET_BIND_SERVICE"], addCapabilities: ["KILL"] },
      },
    });
    expect(seen).toMatchObject({
      CapEff: mask(["NET_BIND_SERVICE"]),
      CapAmb: mask(["NET_BIND_SERVICE"]),
    });
  });

  it("has all that this program may give when it is privileged", async () => {
    const { host } = await bundle.input();
    const seen = await status({
      security: { privileged: true, seccomp: { profileType: "runtimeDefault" } },
    });
    expect(seen).toMatchObject({ CapEff: mask([...host.boundingCapabilities]), Seccomp: "0" });
  });

  it("runs as the user and in the groups of the image, and in those asked for", async () => {
    const id = async (security: object, user?: string) => {
      const options = { security, ...(user !== undefined && { process: { user } }) };
      const { stdout } = await bundle.run("id -u; id -g; id -G; echo $HOME", options);
      return stdout.trim().split("\n");
    };
    expect(await id({}, "app")).toEqual(["1000", "1234", "1234 44", "/home/app"]);
    expect(await id({ runAsUsername: "app", supplementalGroups: [50_000] }, "root")).toEqual([
      "1000",
      "1234",
      "1234 44 50000",
      "/home/app",
    ]);
    const strict = { supplementalGroups: [50_000], supplementalGroupsPolicy: "strict" };
    expect(await id({ ...strict, runAsUser: 1_000 })).toEqual([
      "1000",
      "1234",
      "1234 50000",
      "/home/app",
    ]);
    expect(await id({ runAsUser: 4_242, runAsGroup: 77 })).toEqual(["4242", "77", "77", "/"]);
  });

  it("gets arguments, environment and directory as they are", async () => {
    const env = ["MULTI=one\ntwo\n", "EMPTY=", "QUOTE='\"$(id)`", "PATH=/bin"];
    const { stdout } = await bundle.run(["/bin/env", "-0"], {
      process: { env, workingDir: "/work" },
    });
    expect(stdout.split("\0")).toEqual(
      expect.arrayContaining([...env, "HOSTNAME=pod-1", "HOME=/root"]),
    );
    const pwd = await bundle.run('pwd; hostname; echo "$1"', {
      process: {
        argv: ["/bin/sh", "-c", 'pwd; hostname; printf "%s|" "$@"', "--rm", "-it", "a b", "$(id)"],
        workingDir: "/made/here",
      },
    });
    expect(pwd.stdout).toBe("/made/here\npod-1\n-it|a b|$(id)|");
  });

  it("takes a program whose name begins with a hyphen for a program", async () => {
    const { code, stderr } = await bundle.run(["--help"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/exec: .*--help.*not found/);
  });

  it("is within its limits", async () => {
    const { host } = await bundle.input();
    const { stdout } = await bundle.run(
      "cat /proc/self/oom_score_adj; ulimit -Hn; ulimit -Sn; cat /proc/self/cgroup",
      {
        resources: { oomScoreAdj: -1_000 },
        input: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 64, hard: 100_000_000 }] },
      },
    );
    const [score, hard, soft] = stdout.split("\n");
    const own = host.hardRlimits.get("RLIMIT_NOFILE");
    expect([score, hard, soft]).toEqual([
      String(host.hasSysResource ? -1_000 : host.oomScoreAdj),
      String(host.hasSysResource ? 100_000_000 : own),
      "64",
    ]);
  });

  it("is in a cgroup with the limits of the configuration", async () => {
    const { host } = await bundle.input();
    const read =
      host.cgroupVersion === 2
        ? "cd /sys/fs/cgroup; cat pids.max memory.max cpu.max"
        : `cd /sys/fs/cgroup; cat pids/pids.max memory/memory.limit_in_bytes;
           echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us)`;
    const { stdout } = await bundle.run(read, {
      resources: {
        unified: { "pids.max": "37" },
        memoryLimitInBytes: 64 * 1_024 * 1_024,
        cpuQuota: 50_000,
        cpuPeriod: 100_000,
        cpusetCpus: "0",
      },
    });
    expect(stdout).toBe(`37\n${64 * 1_024 * 1_024}\n50000 100000\n`);
  });

  it("sees the kernel settings of its namespaces", async () => {
    const sysctls = {
      "kernel.shm_rmid_forced": "1",
      "fs.mqueue.msg_max": "20",
      "net.ipv4.ip_unprivileged_port_start": "80",
    };
    const { stdout, stderr } = await bundle.run(
      `cd /proc/sys; cat kernel/shm_rmid_forced fs/mqueue/msg_max net/ipv4/ip_unprivileged_port_start`,
      {
        sandbox: { linux: { sysctls } },
      },
    );
    expect({ stdout, stderr }).toEqual({ stdout: "1\n20\n80\n", stderr: "" });
  });

  it("is root of a user namespace without any right outside", async () => {
    const mapping = [{ containerId: 0, hostId: 100_000, length: 65_536 }];
    const { stdout, stderr } = await bundle.run(
      "cat /proc/self/uid_map; id -u; touch /root/x 2>&1; cat /proc/self/setgroups; ls -d /dev/pts",
      {
        security: {
          namespaceOptions: { usernsOptions: { mode: "pod", uids: mapping, gids: mapping } },
          seccomp: { profileType: "runtimeDefault" },
        },
      },
    );
    expect(stderr).toBe("");
    expect(stdout.split("\n").map((line) => line.trim().replaceAll(/ +/g, " "))).toEqual([
      "0 100000 65536",
      "0",
      "touch: /root/x: Permission denied",
      "allow",
      "/dev/pts",
      "",
    ]);
  });

  it("joins the namespaces it is given, and shares those of the host when it is told to", async () => {
    const { stdout: own } = await promisify(execFile)("readlink", [
      "/proc/self/ns/net",
      "/proc/self/ns/ipc",
      "/proc/self/ns/uts",
      "/proc/self/ns/pid",
    ]);
    const show = "cd /proc/self/ns; for type in net ipc uts pid; do readlink $type; done";
    const separate = await bundle.run(show);
    const shared = await bundle.run(show, {
      security: { namespaceOptions: { network: "node", ipc: "node", pid: "node" } },
    });
    expect(shared.stdout).toBe(own);
    for (const namespace of own.trim().split("\n")) {
      expect(separate.stdout).not.toContain(namespace);
    }
  });

  it("shares all but users with the host as root of a user namespace", async () => {
    const mapping = [{ containerId: 0, hostId: 100_000, length: 65_536 }];
    const usernsOptions = { mode: "pod", uids: mapping, gids: mapping } as const;
    const namespaceOptions = { network: "node", ipc: "node", pid: "node", usernsOptions } as const;
    const { stdout, stderr } = await bundle.run(
      `head -c 1 /proc/interrupts | wc -c; test -e /proc/2 && echo pids; ls /sys/class/net
       for file in /proc/sys/kernel/hostname /sys/x; do (: > $file) 2>&1 | grep -c Read-only; done`,
      { security: { namespaceOptions } },
    );
    expect(stderr).toBe("");
    expect(stdout.split("\n")).toEqual([
      "0",
      "pids",
      ...readdirSync("/sys/class/net"),
      "1",
      "1",
      "",
    ]);
  });

  it("has a terminal of the size asked for", async () => {
    const spec = await buildContainerSpec(
      await bundle.input({
        process: {
          argv: ["/bin/sh", "-c", "stty size; echo $TERM"],
          tty: true,
          terminalSize: { width: 101, height: 33 },
        },
      }),
    );
    await writeFile(join(bundle.path, "config.json"), JSON.stringify(spec));
    const command = `stty rows 33 cols 101; runc --root ${bundle.path}/state run -b ${bundle.path} longshore-tty`;
    const { stdout } = await promisify(execFile)("script", ["-qec", command, "/dev/null"]);
    expect(stdout.trim().split(/\r?\n/)).toEqual(["33 101", "xterm"]);
  });

  it("is joined by further processes with the same rights and their own user", async () => {
    const security = {
      capabilities: { dropCapabilities: ["ALL"] },
      noNewPrivs: true,
      seccomp: { profileType: "runtimeDefault" as const },
    };
    const input = await bundle.input({ security, process: { argv: ["/bin/sleep", "60"] } });
    await writeFile(
      join(bundle.path, "config.json"),
      JSON.stringify(await buildContainerSpec(input)),
    );
    const id = "longshore-exec";
    // The container keeps what it inherits open.
    const start = ["--root", `${bundle.path}/state`, "run", "--detach", "-b", bundle.path, id];
    execFileSync("runc", start, { stdio: "ignore" });
    try {
      const process = await buildExecProcess({
        ...input,
        process: {
          ...input.process,
          argv: ["/bin/sh", "-c", "id -u; id -G; pwd; cat /proc/self/status"],
          user: "app",
          workingDir: "/work",
        },
      });
      const file = join(bundle.path, "process.json");
      await writeFile(file, JSON.stringify(process));
      const output = await bundle.runc(["exec", "--process", file, id]);
      expect(output.split("\n").slice(0, 3)).toEqual(["1000", "1234 44", "/work"]);
      expect(parseStatus(output)).toMatchObject({
        CapBnd: mask([]),
        NoNewPrivs: "1",
        Seccomp: "2",
      });
    } finally {
      await bundle.runc(["delete", "--force", id]);
    }
  });
});
