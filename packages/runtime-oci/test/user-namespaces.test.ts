import { chown, lstat, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  DriverContainerSpec,
  DriverSandboxSpec,
  NamespaceOption,
  PodSandboxConfig,
} from "@longshore/core";
import { ownedNetns } from "./fixtures/owned-netns.ts";
import {
  canRun,
  command,
  logText,
  openMachine,
  run,
  text,
  type ContainerOptions,
  type TestMachine,
} from "./fixtures/test-machine.ts";

const hostId = 100_000;
const mapping = [{ hostId, containerId: 0, length: 65_536 }];
const usernsOptions = { mode: "pod", uids: mapping, gids: mapping } as const;

function podWith(options: NamespaceOption, linux: PodSandboxConfig["linux"] = {}) {
  return { linux: { ...linux, securityContext: { namespaceOptions: options } } };
}

describe.skipIf(!canRun).each(["runc", "crun"])(
  "user namespaces through %s (needs root, the runtime and busybox)",
  (binary) => {
    let machine: TestMachine;
    let network: string;
    beforeAll(async () => {
      machine = await openMachine(binary);
      network = join(machine.path, "owned-net");
      await ownedNetns(network, hostId);
      // As an image store shifts the owners of an image's files.
      await run("cp", ["-a", join(machine.path, "image"), join(machine.path, "mapped")]);
      await run("chown", ["-hR", `${hostId}:${hostId}`, join(machine.path, "mapped")]);
    });
    afterAll(async () => {
      const left = await machine.leftovers();
      const roots = await readdir("/run/longshore/roots");
      const mine = roots.filter((name) => name.startsWith(machine.name));
      await run("umount", [network]);
      await machine[Symbol.asyncDispose]();
      const others = left.filter((line) => !line.includes(network));
      if (others.length + mine.length > 0) {
        throw new Error(`left on the machine: ${[...others, ...mine].join("; ")}`);
      }
    });

    const sandboxSpec = async (
      options: NamespaceOption = {},
      linux?: PodSandboxConfig["linux"],
    ): Promise<DriverSandboxSpec> => ({
      ...(await machine.sandboxSpec(podWith({ usernsOptions, ...options }, linux))),
      networkNamespace: network,
    });
    const containerSpec = async (
      argv: string | readonly string[],
      options?: ContainerOptions,
    ): Promise<DriverContainerSpec> => {
      const spec = await machine.containerSpec(argv, options);
      if (spec.rootfs.kind !== "overlay" || spec.rootfs.upper === undefined) return spec;
      await chown(spec.rootfs.upper.upperDir, hostId, hostId);
      return { ...spec, rootfs: { ...spec.rootfs, lower: [join(machine.path, "mapped")] } };
    };
    const outputOf = async (
      argv: string,
      options?: ContainerOptions,
      given?: DriverSandboxSpec,
    ): Promise<string> => {
      const sandbox = await machine.driver.prepare(given ?? (await sandboxSpec()));
      try {
        const spec = await containerSpec(argv, options);
        const container = await sandbox.start(spec);
        await container.exit;
        const log = spec.log?.path ?? "";
        return `${await logText(log, "stdout")}${await logText(log, "stderr")}`.trim();
      } finally {
        await sandbox.teardown();
      }
    };

    it("makes root inside another user outside, also of what it writes", async () => {
      const sandbox = await machine.driver.prepare(await sandboxSpec());
      const spec = await containerSpec("echo mine > /new; id -u; exec sleep 100");
      const container = await sandbox.start(spec);
      const probe = await container.exec(
        command("stat -c %u:%g /new; cat /proc/self/uid_map; id -u"),
      );
      expect((await text(probe.stdout)).split(/\s+/)).toEqual(
        ["0:0", "0", String(hostId), "65536", "0"].concat(""),
      );
      expect(await probe.exit).toMatchObject({ exitCode: 0 });
      const pid =
        (await readFile(join(machine.directoryOf(sandbox, spec.id), "container.pid"), "utf8").catch(
          () => "",
        )) || "";
      const pids = pid === "" ? await sandboxPids(machine, spec.id) : [pid];
      for (const each of pids) {
        const status = await readFile(`/proc/${each.trim()}/status`, "utf8");
        expect(status).toMatch(new RegExp(String.raw`^Uid:\s+${hostId}\s+${hostId}`, "m"));
      }
      expect(pids.length).toBeGreaterThan(0);
      if (spec.rootfs.kind !== "overlay") throw new Error("no overlay");
      const { uid, gid } = await lstat(join(spec.rootfs.upper?.upperDir ?? "", "new"));
      expect([uid, gid]).toEqual([hostId, hostId]);
      await sandbox.teardown();
    });

    it("owns the network: its root may use low ports and, with the capability, change it", async () => {
      const capabilities = { addCapabilities: ["NET_ADMIN"] };
      const options = { config: { linux: { securityContext: { capabilities } } } };
      const output = await outputOf(
        "ip addr add 10.9.9.9/32 dev lo; ip -o addr show lo | grep -c 10.9.9.9; ip addr del 10.9.9.9/32 dev lo; " +
          "ping -c1 127.0.0.1 | grep -c 'bytes from'; (echo hi | nc -l -p 80 &); ls /sys/class/net",
        options,
      );
      expect(output).toBe("1\n1\nlo");
    });

    it("has kernel settings, terminals, shared memory and its host name", async () => {
      const sysctls = { "kernel.shm_rmid_forced": "1", "net.ipv4.ip_default_ttl": "99" };
      const output = await outputOf(
        "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_default_ttl; hostname; " +
          "echo x > /dev/shm/x; stat -c %u /dev/shm /dev/shm/x; echo 1 >> /etc/hosts && echo wrote; " +
          "test -c /dev/null && test -c /dev/pts/ptmx && echo devices; echo 1 > /proc/sys/vm/swappiness",
        {},
        await sandboxSpec({}, { sysctls }),
      );
      expect(output.split("\n").slice(0, 7)).toEqual([
        "1",
        "99",
        "box",
        "0",
        "0",
        "wrote",
        "devices",
      ]);
      expect(output).toContain("Read-only");
      const tty = await outputOf("tty; stat -c %u $(tty)", { process: { tty: true } });
      expect(tty.split(/\s+/)).toEqual([expect.stringMatching("/dev/(pts/0|console)"), "0"]);
    });

    it("reaches no file of the host's root through a mount", async () => {
      const secret = join(machine.path, "secret");
      await writeFile(secret, "secret", { mode: 0o600 });
      const mounts = [{ containerPath: "/secret", hostPath: secret }];
      expect(await outputOf("cat /secret; stat -c %u /secret", { config: { mounts } })).toMatch(
        /65534[^]*denied/,
      );
    });

    it("takes root filesystems that are directories, read-only ones too", async () => {
      const path = join(machine.path, "mapped");
      for (const readonly of [true, false]) {
        const rootfs = { kind: "directory", path, readonly } as const;
        const output = await outputOf("touch /x && rm /x && echo made && id -u", {
          spec: { rootfs },
        });
        expect(output).toMatch(readonly ? /^touch: .*Read-only/ : /^made\n0$/);
      }
    });

    it("makes one of its own for a sandbox with the host's network", async () => {
      const spec = await machine.sandboxSpec(podWith({ usernsOptions, network: "node" }));
      const { networkNamespace: _, ...rest } = spec;
      const output = await outputOf("cat /proc/self/uid_map; id -u", {}, rest);
      expect(output.split(/\s+/).slice(-4)).toEqual(["0", String(hostId), "65536", "0"]);
    });

    it("refuses a network of another user namespace, and leaves nothing", async () => {
      const spec = await machine.sandboxSpec(podWith({ usernsOptions }));
      await expect(machine.driver.prepare(spec)).rejects.toMatchObject({
        code: "SANDBOX_CREATE_FAILED",
        message: expect.stringContaining("user namespace"),
      });
      const other = [{ hostId: 300_000, containerId: 0, length: 65_536 }];
      const elsewhere = await sandboxSpec({
        usernsOptions: { mode: "pod", uids: other, gids: other },
      });
      await expect(machine.driver.prepare(elsewhere)).rejects.toMatchObject({
        code: "SANDBOX_CREATE_FAILED",
        message: expect.stringContaining("another map"),
      });
      expect(await readdir(join(machine.path, "state", "sandboxes"))).toEqual([]);
    });

    it("is found again with its containers, and a forgotten one is taken down", async () => {
      const spec = await sandboxSpec();
      const sandbox = await machine.driver.prepare(spec);
      const container = await sandbox.start(await containerSpec("sleep 0.2; exit 3"));
      void container;
      const waiting = await containerSpec("read x; exit 4", { process: { stdin: true } });
      await sandbox.start(waiting);
      const again = await machine.driver.recover([spec]);
      const found = again.get(spec.id);
      const exits = [...(found?.containers.values() ?? [])].map(async (each) => {
        const process = await each.exec(command("id -u")).catch(() => undefined);
        return process === undefined ? "ended" : text(process.stdout);
      });
      expect(await Promise.all(exits)).toContain("0\n");
      await found?.sandbox.teardown();
      await machine.driver.recover([]);
    });
  },
);

/** Processes of a container by its cgroup. */
async function sandboxPids(machine: TestMachine, id: string): Promise<readonly string[]> {
  const { stdout } = await run("find", [
    "/sys/fs/cgroup",
    "-path",
    `*/longshore/${machine.name}-*/${id}/cgroup.procs`,
  ]);
  const files = stdout.split("\n").filter((line) => line !== "");
  const texts = await Promise.all(files.map(async (file) => readFile(file, "utf8")));
  return [...new Set(texts.flatMap((each) => each.split("\n")).filter((line) => line !== ""))];
}
