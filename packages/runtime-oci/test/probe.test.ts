import { describe, expect, it } from "vitest";
import { ociDriver, probeRuntime } from "../src/index.ts";
import { canRun, openMachine, run } from "./fixtures/test-machine.ts";

describe("looking for OCI runtimes", () => {
  it("says what is missing and how to get it", async () => {
    expect(await probeRuntime("runc-that-is-not-here")).toMatchObject({
      available: false,
      reason: expect.stringContaining("not installed"),
      fix: expect.stringContaining("apt-get install runc"),
    });
  });

  it("refuses names that it does not know", () => {
    expect(() => ociDriver({ binary: "podman" })).toThrow(TypeError);
  });

  it.skipIf(!canRun).each(["runc", "crun"])(
    "runs a container to see what works (needs root and %s)",
    async (binary) => {
      expect(await probeRuntime(binary)).toMatchObject({
        available: true,
        version: expect.stringMatching(/^\d/),
        reason: expect.stringMatching(/cgroups [12] with .*memory/),
        userNamespaces: true,
      });
      await using machine = await openMachine(binary);
      expect(await machine.driver.probe()).toMatchObject({ isAvailable: true });
      const { stdout } = await run("find", ["/sys/fs/cgroup", "-name", "longshore-probe-*"]);
      expect(stdout).toBe("");
    },
  );
});
