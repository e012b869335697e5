import { execFileSync } from "node:child_process";
import { symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defaultCapabilities } from "../../src/spec/capability-names.ts";
import { containerSeccomp } from "../../src/spec/container-seccomp.ts";
import { defaultSeccomp } from "../../src/spec/default-seccomp.ts";
import { loadSeccompProfile } from "../../src/spec/load-seccomp-profile.ts";
import {
  allowedSyscalls,
  capabilitySyscalls,
  deniedSyscalls,
} from "../../src/spec/seccomp-syscalls.ts";
import { refusal } from "./refusal.ts";
import { plentifulHost, specInput } from "./spec-input.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

describe("the default profile", () => {
  const usual = new Set(defaultCapabilities);

  it("says one thing only of each call", () => {
    const all = [
      ...allowedSyscalls,
      ...deniedSyscalls,
      ...capabilitySyscalls.flatMap(({ names }) => names),
    ];
    expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
    expect(all.filter((name) => !/^\w+$/.test(name))).toEqual([]);
    for (const name of ["clone", "unshare", "socket", "personality"])
      expect(all).not.toContain(name);
  });

  it("allows with a capability what it denies without", () => {
    const namesOf = (held: ReadonlySet<never> | typeof usual, action: string) =>
      new Set(
        defaultSeccomp("x64", held)
          .syscalls?.filter((call) => call.action === action && call.args === undefined)
          .flatMap(({ names }) => names),
      );
    for (const { capabilities, names } of capabilitySyscalls) {
      for (const capability of capabilities) {
        const allowed = namesOf(new Set([capability]), "SCMP_ACT_ALLOW");
        expect(names.filter((name) => !allowed.has(name))).toEqual([]);
      }
      const denied = namesOf(new Set(), "SCMP_ACT_ERRNO");
      // Without an answer of its own, a call is unknown.
      expect(names.filter((name) => name !== "clone3" && !denied.has(name))).toEqual([]);
    }
    expect(namesOf(usual, "SCMP_ACT_ALLOW").has("chroot")).toBe(true);
  });

  it("is for the machine's architecture and its 32-bit sibling", async () => {
    expect(defaultSeccomp("x64", usual).architectures).toEqual([
      "SCMP_ARCH_X86_64",
      "SCMP_ARCH_X86",
    ]);
    expect(defaultSeccomp("arm64", usual).architectures?.[0]).toBe("SCMP_ARCH_AARCH64");
    for (const architecture of ["mips", "constructor"]) {
      expect(await refusal(() => defaultSeccomp(architecture, usual))).toBe(
        "RUNTIME_NOT_SUPPORTED seccomp",
      );
    }
  });
});

describe("the profile of a container", () => {
  const profileOf = async (security: object, host = plentifulHost) =>
    containerSeccomp(specInput("/", { security }).config, new Set(), host);

  it("is none unless asked for, and none when privileged", async () => {
    const seccomp = { profileType: "runtimeDefault" };
    expect(await profileOf({})).toBeUndefined();
    expect(await profileOf({ seccomp: { profileType: "unconfined" } })).toBeUndefined();
    expect(await profileOf({ seccomp, privileged: true })).toBeUndefined();
    expect(await profileOf({ seccomp })).toMatchObject({ defaultErrnoRet: 38 });
  });

  it("is refused where the kernel has no filters", async () => {
    const host = { ...plentifulHost, hasSeccomp: false };
    expect(
      await refusal(() => profileOf({ seccomp: { profileType: "runtimeDefault" } }, host)),
    ).toBe("RUNTIME_NOT_SUPPORTED seccomp");
  });
});

describe("a profile in a file", () => {
  let place: TempDir;
  beforeEach(async () => {
    place = await tempDir();
  });
  afterEach(() => place[Symbol.asyncDispose]());
  const load = async (content: unknown) => {
    const path = join(place.path, "profile.json");
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
    return loadSeccompProfile(path);
  };
  const refused = "VALIDATION_ERROR seccomp.localhostRef";

  it("is taken as it is", async () => {
    const profile = {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        {
          names: ["read"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value: 3, valueTwo: 1, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    };
    expect(await load(profile)).toEqual(profile);
    await symlink(join(place.path, "profile.json"), join(place.path, "link"));
    expect(await loadSeccompProfile(join(place.path, "link"))).toEqual(profile);
  });

  it.each([
    ["no JSON", "{"],
    ["no object", []],
    ["no default action", {}],
    ["an action that is none", { defaultAction: "SCMP_ACT_MAYBE" }],
    ["another process to decide", { defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x" }],
    ["fields of Docker's form", { defaultAction: "SCMP_ACT_ERRNO", archMap: [] }],
    [
      "conditions it would have to ignore",
      {
        defaultAction: "SCMP_ACT_ERRNO",
        syscalls: [{ names: ["a"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_BPF"] } }],
      },
    ],
    [
      "numbers that JSON cannot hold",
      {
        defaultAction: "SCMP_ACT_ERRNO",
        syscalls: [
          {
            names: ["a"],
            action: "SCMP_ACT_ALLOW",
            args: [{ index: 0, value: 2 ** 60, op: "SCMP_CMP_EQ" }],
          },
        ],
      },
    ],
    [
      "calls without names",
      { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names: [], action: "SCMP_ACT_ALLOW" }] },
    ],
  ])("is refused with %s", async (_, content) => {
    expect(await refusal(() => load(content))).toBe(refused);
  });

  it("is refused when it is missing, no file, huge, or not named from the root", async () => {
    const path = (name: string) => join(place.path, name);
    execFileSync("mkfifo", [path("pipe")]);
    await writeFile(path("huge"), "");
    await truncate(path("huge"), 10 * 1_024 ** 3);
    for (const name of [
      path("missing"),
      path("pipe"),
      path("huge"),
      place.path,
      "x.json",
      "/x\0",
    ]) {
      expect(await refusal(() => loadSeccompProfile(name))).toBe(refused);
    }
  });
});
