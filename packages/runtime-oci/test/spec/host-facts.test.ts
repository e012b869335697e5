import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { readHostFacts } from "../../src/spec/host-facts.ts";
import { parseRuntimeFeatures } from "../../src/spec/runtime-features.ts";

describe("facts of this machine", () => {
  it("are what other tools say", async () => {
    const facts = await readHostFacts();
    const ask = (command: string) => execFileSync("sh", ["-c", command]).toString().trim();
    expect(String(facts.oomScoreAdj)).toBe(ask("cat /proc/self/oom_score_adj"));
    expect(facts.kernelVersion.join(".")).toBe(ask("uname -r | grep -oE '^[0-9]+\\.[0-9]+'"));
    expect(facts.hostname).toBe(ask("uname -n"));
    const files = facts.hardRlimits.get("RLIMIT_NOFILE");
    expect(files === Infinity ? "unlimited" : String(files)).toBe(ask("ulimit -Hn"));
    expect(facts.hardRlimits.size).toBe(16);
    expect(facts.cgroupVersion).toBe(ask("stat -fc %T /sys/fs/cgroup") === "cgroup2fs" ? 2 : 1);
    const status = await readFile("/proc/self/status", "utf8");
    const bits = BigInt(`0x${/CapBnd:\s*(\w+)/.exec(status)?.[1] ?? ""}`).toString(2);
    expect(facts.boundingCapabilities.size).toBe(bits.replaceAll("0", "").length);
    expect(facts.runtime).toEqual({ recursiveReadOnly: false, idMappedMounts: false });
  });
});

describe("features of a runtime", () => {
  it("are only those that it names", () => {
    expect(parseRuntimeFeatures(`{"mountOptions":["ro","rro"]}`)).toEqual({
      recursiveReadOnly: true,
      idMappedMounts: false,
    });
    const idmap = { linux: { mountExtensions: { idmap: { enabled: true } } } };
    expect(parseRuntimeFeatures(JSON.stringify(idmap)).idMappedMounts).toBe(true);
    for (const text of ["", "usage: crun", "[]", `{"mountOptions":7}`]) {
      expect(parseRuntimeFeatures(text).recursiveReadOnly).toBe(false);
    }
  });
});
