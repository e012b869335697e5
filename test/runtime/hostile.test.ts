import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../fixtures/sample-images.ts";
import { describeReal } from "./fixtures/describe-real.ts";
import { launch } from "./fixtures/launch.ts";
import { openRealRuntime, type RealRuntime } from "./fixtures/real-runtime.ts";

const mib = 1_048_576;
const log = { maxBytes: mib, maxFiles: 3 };

/** What the conformance suite's hostile cases leave open. */
describeReal("hostile images and containers", (place) => {
  let real: RealRuntime;
  let base = "";
  const pull = (image: string): Promise<string> => real.images.pullImage({ image: { image } });
  beforeAll(async () => {
    real = await openRealRuntime(place().directory, { log });
    base = await pull(place().images.base);
  });
  afterAll(() => real?.[Symbol.asyncDispose]());

  test.each([
    "4294967296",
    "-1",
    "nobody-here",
    "0x0",
    "99999999999999",
    "1000:nogroup",
    "root\nx",
  ])("an image's user %j is refused, and never root", async (user) => {
    const name = `user-${Buffer.from(user).toString("hex")}`;
    const image = await pull(await place().images.withUser(name, user));
    const started = launch(real.runtime, { image, command: ["sleep", "1000"] });
    await expect(started).rejects.toMatchObject({
      code: expect.stringMatching(/^(VALIDATION_ERROR|EXECUTION_ERROR)$/),
    });
    expect(await real.runtime.listPodSandbox()).toEqual([]);
  });

  test("an image's users are its own, though a link leads to a file of the host", async () => {
    const evil = join(place().directory, "evil-passwd");
    await writeFile(evil, "evil:x:0:0::/:/bin/sh\n");
    const image = await pull(
      await place().images.withUser("linked", "evil", async (root) => {
        await run("ln", "-s", `../../../../../../../..${evil}`, join(root, "passwd"));
      }),
    );
    await expect(launch(real.runtime, { image, command: ["sleep", "1000"] })).rejects.toMatchObject(
      { code: expect.stringMatching(/^(VALIDATION_ERROR|EXECUTION_ERROR)$/) },
    );
  });

  test("nobody waits for an image's list of users that is a pipe, or reads a huge one", async () => {
    const piped = await pull(
      await place().images.withUser("piped", "someone", async (root) => {
        await run("mkfifo", join(root, "passwd"));
      }),
    );
    const huge = await pull(
      await place().images.withUser("huge", "someone", async (root) => {
        await run("truncate", "--size", "64M", join(root, "passwd"));
      }),
    );
    for (const image of [piped, huge]) {
      await expect(
        launch(real.runtime, { image, command: ["sleep", "1000"] }),
      ).rejects.toMatchObject({
        code: expect.stringMatching(/^(VALIDATION_ERROR|EXECUTION_ERROR)$/),
      });
    }
  });

  test("settings of the host's kernel cannot be written by way of /proc and /sys", async () => {
    await using container = await launch(real.runtime, { image: base, command: ["sleep", "1000"] });
    const said = await container.sh(`
      for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sysrq-trigger \
        /proc/sys/vm/drop_caches /sys/kernel/uevent_helper /proc/irq/default_smp_affinity; do
        (echo x > $f) 2> /dev/null && echo "wrote $f"
      done
      for f in /proc/kcore /proc/keys /proc/timer_list /proc/kmsg; do
        n=$(head -c 16 $f 2> /dev/null | wc -c); [ "$n" = 0 ] || echo "read $f"
      done
      mount -t tmpfs none /tmp 2> /dev/null && echo mounted
      mknod /tmp/disk b 8 0 2> /dev/null && head -c 1 /tmp/disk > /dev/null 2>&1 && echo "read a disk"
      unshare -U true 2> /dev/null && echo "made a user namespace"
      echo over
    `);
    expect(said).toBe("over\n");
  });

  test("an output without end takes no more of the disk than the log may", async () => {
    const logDirectory = join(place().directory, "logs");
    await mkdir(logDirectory);
    const before = process.memoryUsage().rss;
    await using container = await launch(real.runtime, {
      image: base,
      command: [
        "sh",
        "-c",
        "head -c 400000000 /dev/zero | tr '\\0' x; yes | head -n 200000; exit 6",
      ],
      config: { logPath: "flood.log" },
      logDirectory,
    });
    expect(await container.ended()).toMatchObject({ exitCode: 6 });
    const files = await readdir(logDirectory);
    const sizes = await Promise.all(
      files.map(async (file) => (await stat(join(logDirectory, file))).size),
    );
    // The present one, and those that it was rotated into.
    expect(files.length).toBeLessThanOrEqual(log.maxFiles);
    // An entry is not cut in two.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(log.maxBytes + 32_768);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(0);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * mib);
  });

  test("a container that closes its streams early is followed to its end", async () => {
    const command = ["sh", "-c", "exec < /dev/null > /dev/null 2>&1; sleep 0.3; exit 12"];
    await using container = await launch(real.runtime, { image: base, command });
    expect(await container.ended()).toMatchObject({ exitCode: 12 });
  });

  test("a memory hog and a fork bomb at once leave the others, and the runtime, alone", async () => {
    await using quiet = await launch(real.runtime, { image: base, command: ["sleep", "1000"] });
    await using hog = await launch(real.runtime, {
      image: base,
      command: ["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"],
      resources: { memoryLimitInBytes: 32 * mib, memorySwapLimitInBytes: 32 * mib },
    });
    await using bomb = await launch(real.runtime, {
      image: base,
      command: ["sh", "-c", "b() { b | b & }; b; sleep 1000"],
      resources: { unified: { "pids.max": "64" } },
    });
    expect(await hog.ended()).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
    expect(await quiet.sh("echo alive")).toBe("alive\n");
    await real.runtime.stopContainer({ containerId: bomb.containerId, timeout: 0 });
    expect(await quiet.sh("echo alive")).toBe("alive\n");
  });

  test("names and labels are text, and never paths", async () => {
    const odd = "../../../../etc/passwd";
    const { runtime } = real;
    const labels = { [odd]: `${odd}\n"$(id)` };
    const config = { metadata: { name: odd, uid: `${odd}-uid`, namespace: "/" }, labels };
    const podSandboxId = await runtime.runPodSandbox({ config });
    try {
      const { status } = await runtime.podSandboxStatus({ podSandboxId });
      expect(status).toMatchObject({ metadata: config.metadata, labels });
      expect(await runtime.listPodSandbox({ labelSelector: labels })).toHaveLength(1);
      for (const id of [odd, "..", `${podSandboxId}/../x`, "-f"]) {
        await expect(runtime.containerStatus({ containerId: id })).rejects.toMatchObject({
          code: expect.stringMatching(/^(NOT_FOUND|VALIDATION_ERROR)$/),
        });
      }
    } finally {
      await runtime.removePodSandbox({ podSandboxId });
    }
  });
});
