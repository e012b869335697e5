import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { busyboxRoot } from "../../packages/runtime-oci/test/spec/busybox-root.ts";
import { bundlePrograms } from "../fixtures/bundle-programs.ts";
import { runInGuest, whyNoGuests } from "../fixtures/guest/run-in-guest.ts";

const binaries = ["runc", "crun"] as const;
const reason = whyNoGuests === undefined ? "" : ` (${whyNoGuests})`;

// Many machines that tests run on have version 1 as well, where runtimes do other things.
describe.skipIf(whyNoGuests !== undefined)(`containers with version 2 of cgroups${reason}`, () => {
  const seen = new Map<string, unknown>();
  let share: string;
  beforeAll(async () => {
    share = await mkdtemp(join(tmpdir(), "longshore-share-"));
    await chmod(share, 0o755);
    await mkdir(join(share, "image"));
    await busyboxRoot(join(share, "image"));
    const program = new URL("../fixtures/cgroup-v2-program.ts", import.meta.url);
    await bundlePrograms(share, { program });
    const words = [process.execPath, "/guest/program.js", "/guest/image", ...binaries];
    const { exitCode, output, console: messages } = await runInGuest({ share, command: words });
    if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${output}\n${messages}`);
    for (const line of output.split("\n").filter((each) => each.startsWith("{"))) {
      const { binary, name, value } = JSON.parse(line) as Record<string, unknown>;
      seen.set(`${String(binary)} ${String(name)}`, value);
    }
  }, 180_000);
  afterAll(async () => {
    await rm(share, { recursive: true, force: true });
  });

  describe.each(binaries)("through %s", (binary) => {
    it("finds what there is", () => {
      expect(seen.get(`${binary} probe`)).toMatchObject({
        available: true,
        reason: expect.stringContaining("cgroups 2 with cpu, cpuset"),
        userNamespaces: true,
      });
    });

    it("keeps limits, shown in the container's own cgroup", () => {
      expect(seen.get(`${binary} limits`)).toEqual([
        ...["67108864", "0", "59998208", "50000 100000", "20", "0"],
        expect.stringMatching(/^0::\/(exec-\w+)?$/),
      ]);
    });

    it("changes them, and says what is used", () => {
      expect(seen.get(`${binary} update`)).toEqual(["134217728", "20000 100000", "30"]);
      expect(seen.get(`${binary} stats`)).toEqual({
        ...{ hasRun: true, hasMemory: true, limitBytes: 67_108_864, hasPressure: true },
      });
      expect(seen.get(`${binary} sandbox stats`)).toEqual({
        ...{ hasRun: true, hasMemory: true, hasProcesses: true },
      });
    });

    it("pauses, resumes, and kills what is paused", () => {
      expect(seen.get(`${binary} pause`)).toEqual(["frozen 1", "frozen 0"]);
      expect(seen.get(`${binary} kill of a paused container`)).toBe("SIGKILL");
    });

    it("kills a command with what it left behind", () => {
      expect(seen.get(`${binary} kill of a command`)).toEqual({ left: "0", cgroups: [] });
    });

    it("tells when the kernel killed for want of memory", () => {
      expect(seen.get(`${binary} out of memory`)).toEqual({ exitCode: 137, isOomKilled: true });
    });

    it("ends a fork bomb", () => {
      expect(seen.get(`${binary} fork bomb`)).toBe(137);
    });

    it("leaves nothing", () => {
      expect(seen.get(`${binary} left`)).toEqual({ cgroups: [], notes: [], mounts: [] });
    });
  });
});
