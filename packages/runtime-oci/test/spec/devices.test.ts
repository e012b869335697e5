import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Device } from "@longshore/core";
import { containerDevices, deviceNumber } from "../../src/spec/devices.ts";
import { refusal } from "./refusal.ts";
import { specInput } from "./spec-input.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

let place: TempDir;
beforeEach(async () => {
  place = await tempDir();
});
afterEach(() => place[Symbol.asyncDispose]());

const look = (device: Partial<Device>, security = {}) =>
  containerDevices(
    specInput("/", {
      config: {
        devices: [
          { hostPath: "/dev/null", containerPath: "/dev/x", permissions: "rwm", ...device },
        ],
        linux: { securityContext: security },
      },
    }).config,
  );

describe("devices of a container", () => {
  it("are found with their numbers, over links", async () => {
    await symlink("/dev/null", join(place.path, "link"));
    const found = await look({ hostPath: join(place.path, "link"), permissions: "rm" });
    expect(found.devices).toMatchObject([{ type: "c", path: "/dev/x", major: 1, minor: 3 }]);
    expect(found.rules).toEqual([
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rm" },
    ]);
  });

  it.skipIf(process.getuid?.() !== 0)("are all those in a directory (needs root)", async () => {
    await mkdir(join(place.path, "dri/by-path"), { recursive: true });
    execFileSync("mknod", [join(place.path, "dri/card0"), "c", "226", "300"]);
    execFileSync("mknod", [join(place.path, "dri/by-path/disk"), "b", "8", "1"]);
    await writeFile(join(place.path, "dri/file"), "");
    await symlink("card0", join(place.path, "dri/link"));
    const { devices } = await look({
      hostPath: join(place.path, "dri"),
      containerPath: "/dev/dri",
    });
    const shown = devices.map(({ type, path, major, minor }) =>
      [type, path, major, minor].join(" "),
    );
    expect(shown.toSorted((a, b) => a.localeCompare(b))).toEqual([
      "b /dev/dri/by-path/disk 8 1",
      "c /dev/dri/card0 226 300",
    ]);
  });

  it("are all of the machine's when it is privileged", async () => {
    const { devices, rules } = await look({}, { privileged: true });
    expect(rules).toEqual([{ allow: true, access: "rwm" }]);
    const paths = devices.map(({ path }) => path);
    expect(paths).toContain("/dev/null");
    expect(paths.filter((path) => /^\/dev\/(pts|shm|ptmx|console)/.test(path))).toEqual([]);
  });

  it.each([
    ["hostPath", { hostPath: "/etc/passwd" }],
    ["hostPath", { hostPath: "/dev/does-not-exist" }],
    ["hostPath", { hostPath: "dev/null" }],
    ["hostPath", { hostPath: "" }],
    ["containerPath", { containerPath: "dev/x" }],
    ["containerPath", { containerPath: "/dev/../etc/x" }],
    ["containerPath", { containerPath: "/proc/x" }],
    ["containerPath", { containerPath: "/" }],
    ["permissions", { permissions: "" }],
    ["permissions", { permissions: "rwx" }],
    ["permissions", { permissions: "rr" }],
  ])("are refused with a bad %s: %o", async (field, device) => {
    expect(await refusal(() => look(device))).toBe(`VALIDATION_ERROR devices.${field}`);
  });

  it("have numbers of 12 and 20 bits and more", () => {
    expect(deviceNumber(0x1_03n)).toEqual({ major: 1, minor: 3 });
    expect(deviceNumber(0x12_3f_ff_ffn)).toEqual({ major: 0xf_ff, minor: 0x1_23_ff });
    expect(deviceNumber((0x1_2n << 44n) | 0x7_01n)).toEqual({ major: 0x12_0_07, minor: 1 });
  });
});
