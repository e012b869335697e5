import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { busyboxRoot } from "../../packages/runtime-oci/test/spec/busybox-root.ts";
import { bundlePrograms } from "../fixtures/bundle-programs.ts";
import { runInGuest, whyNoGuests } from "../fixtures/guest/run-in-guest.ts";

const scale = process.env["LONGSHORE_TEST_SCALE"] === "full" ? "full" : "short";
// What the driver does itself is the same for both.
const binaries = scale === "full" ? ["runc", "crun"] : ["runc"];
/** Processors are emulated, and shared with other tests. */
const timeoutMs = scale === "full" ? 900_000 : 300_000;
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
    const command = [process.execPath, "/guest/program.js", scale, "/guest/image", ...binaries];
    const signal = AbortSignal.timeout(timeoutMs);
    const { exitCode, output, console: messages } = await runInGuest({ share, command, signal });
    if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${output}\n${messages}`);
    for (const line of output.split("\n").filter((each) => each.startsWith("{"))) {
      const { binary, name, value } = JSON.parse(line) as Record<string, unknown>;
      seen.set(`${String(binary)} ${String(name)}`, value);
    }
  }, timeoutMs + 10_000);
  afterAll(async () => {
    await rm(share, { recursive: true, force: true });
  });

  describe.each(binaries)("through %s", (binary) => {
    it("keeps limits, and says what is used", () => {
      expect(seen.get(`${binary} limits`)).toEqual([
        "67108864",
        "0",
        "59998208",
        "50000 100000",
        "20",
        "0",
      ]);
      expect(seen.get(`${binary} stats`)).toEqual({
        hasRun: true,
        hasMemory: true,
        limitBytes: 67_108_864,
        hasPressure: true,
      });
      expect(seen.get(`${binary} sandbox stats`)).toEqual({
        hasRun: true,
        hasMemory: true,
        hasProcesses: true,
      });
    });

    it("pauses, resumes, and kills what is paused", () => {
      expect(seen.get(`${binary} pause`)).toEqual(["frozen 1", "frozen 0"]);
      expect(seen.get(`${binary} kill of a paused container`)).toBe("SIGKILL");
    });

    it("tells when the kernel killed for want of memory", () => {
      expect(seen.get(`${binary} out of memory`)).toEqual({ exitCode: 137, isOomKilled: true });
    });

    it("leaves nothing", () => {
      expect(seen.get(`${binary} left`)).toEqual({ cgroups: [], notes: [], mounts: [] });
    });

    // Each of them costs some ten seconds.
    if (scale !== "full") return;

    it("finds what there is", () => {
      expect(seen.get(`${binary} probe`)).toMatchObject({
        available: true,
        reason: expect.stringContaining("cgroups 2 with cpu, cpuset"),
        userNamespaces: true,
      });
    });

    it("shows a container its own cgroup only", () => {
      expect(seen.get(`${binary} limits inside`)).toEqual([
        "67108864",
        expect.stringMatching(/^0::\/(exec-\w+)?$/),
      ]);
    });

    it("changes limits", () => {
      expect(seen.get(`${binary} update`)).toEqual(["134217728", "20000 100000", "30"]);
    });

    it("changes all limits or none, and kills nothing by a limit", () => {
      expect(seen.get(`${binary} refused update`)).toEqual([
        "EXECUTION_ERROR",
        "EXECUTION_ERROR",
        "134217728",
        "20000 100000",
        "30",
      ]);
    });

    it("kills a command with what it left behind", () => {
      expect(seen.get(`${binary} kill of a command`)).toEqual({ left: "0", cgroups: [] });
    });

    it("lays many layers over each other", () => {
      expect(seen.get(`${binary} layers`)).toBe(100);
    });

    it("ends a fork bomb", () => {
      expect(seen.get(`${binary} fork bomb`)).toBe(137);
    });
  });
});
