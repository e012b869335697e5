import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildContainerSpec } from "../../src/spec/build-container-spec.ts";
import { buildExecProcess } from "../../src/spec/build-exec-process.ts";
import { refusal } from "./refusal.ts";
import { plainHost, plentifulHost, specInput, type SpecOptions } from "./spec-input.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

let root: TempDir;
beforeEach(async () => {
  root = await tempDir();
});
afterEach(() => root[Symbol.asyncDispose]());

const build = (process: SpecOptions["process"] & object, options: SpecOptions = {}) =>
  buildExecProcess(specInput(root.path, { ...options, process }));

describe("the command", () => {
  it("is passed on as it is", async () => {
    const argv = ["-c", "--", "$(id)", "a\nb", ""];
    expect((await build({ argv })).args).toEqual(argv);
  });

  it.each([
    [[]],
    [[""]],
    [["a\0b"]],
    [["a", "x".repeat(131_072)]],
    [Array<string>(70_000).fill("a")],
  ])("is refused when no process can have it", async (argv) => {
    expect(await refusal(() => build({ argv }))).toMatch(/^VALIDATION_ERROR (command|args)$/);
  });
});

describe("the environment", () => {
  it("has what programs expect", async () => {
    expect((await build({ tty: true })).env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=/",
      "HOSTNAME=pod-1",
      "TERM=xterm",
    ]);
  });

  it("is the configuration's before all else, and keeps every byte", async () => {
    const env = ["PATH=/bin", "HOME=/h", "A=1\n2=3", Buffer.from("B=\u00e9")];
    expect((await build({ env })).env).toEqual([
      "PATH=/bin",
      "HOME=/h",
      "HOSTNAME=pod-1",
      "A=1\n2=3",
      "B=\u00e9",
    ]);
  });

  it("names the machine with the host's network", async () => {
    const security = { namespaceOptions: { network: "node" } } as const;
    expect((await build({}, { security })).env).toContain("HOSTNAME=machine");
  });

  it.each([
    ["VALIDATION_ERROR envs", "=x"],
    ["VALIDATION_ERROR envs", "NAME"],
    ["VALIDATION_ERROR envs", "A=\0"],
    ["VALIDATION_ERROR envs", `A=${"x".repeat(131_072)}`],
    ["RUNTIME_NOT_SUPPORTED envs", Buffer.from([65, 61, 0xff])],
  ])("is refused as %s", async (expected, entry) => {
    expect(await refusal(() => build({ env: [entry] }))).toBe(expected);
  });
});

describe("the working directory", () => {
  it("is the root when there is none", async () => {
    expect((await build({ workingDir: "" })).cwd).toBe("/");
  });

  it("is no way into /proc, by whatever link", async () => {
    await symlink("/proc/self/fd", join(root.path, "fds"));
    await mkdir(join(root.path, "a"));
    await symlink("../fds/8", join(root.path, "a/work"));
    for (const workingDir of [
      "/proc",
      "/proc/self/fd/8",
      "/fds/8",
      "/a/work",
      "relative",
      "/a/..",
    ]) {
      expect(await refusal(() => build({ workingDir }))).toBe("VALIDATION_ERROR workingDir");
    }
  });
});

describe("a process", () => {
  it("has a terminal of a size", async () => {
    expect(await build({ tty: true, terminalSize: { width: 80, height: 24 } })).toMatchObject({
      terminal: true,
      consoleSize: { width: 80, height: 24 },
    });
    expect(await build({ terminalSize: { width: 80, height: 24 } })).not.toHaveProperty(
      "consoleSize",
    );
    expect(
      await refusal(() => build({ tty: true, terminalSize: { width: -1, height: 70_000 } })),
    ).toBe("VALIDATION_ERROR terminalSize");
  });

  it("is refused when its user is not in the user namespace", async () => {
    const mapping = [{ containerId: 0, hostId: 100_000, length: 1_000 }];
    const usernsOptions = { mode: "pod", uids: mapping, gids: mapping } as const;
    const security = { namespaceOptions: { usernsOptions } };
    expect((await build({ user: "999" }, { security })).user.uid).toBe(999);
    for (const user of ["1000", "0:1000"]) {
      expect(await refusal(() => build({ user }, { security }))).toBe(
        "VALIDATION_ERROR usernsOptions",
      );
    }
  });
});

describe("a configuration", () => {
  const spec = (options: SpecOptions = {}) => buildContainerSpec(specInput(root.path, options));

  it("takes no orders from annotations, and has no hooks", async () => {
    const annotations = { "run.oci.hooks": "x", "org.systemd.property.X": "y" };
    const built = await spec({ config: { annotations }, sandbox: { annotations } });
    expect(built.annotations).toEqual({
      "dev.longshore.container-id": "c1",
      "dev.longshore.sandbox-id": "s1",
    });
    expect(built).not.toHaveProperty("hooks");
  });

  it("runs as whom the security context names, whatever the image says", async () => {
    const built = await spec({ security: { runAsUser: 7, runAsGroup: 8 }, process: { user: "0" } });
    expect(built.process.user).toEqual({ uid: 7, gid: 8, additionalGids: [8] });
    expect(await refusal(() => spec({ security: { runAsGroup: 5 } }))).toBe(
      "VALIDATION_ERROR runAsGroup",
    );
  });

  it("hides other cgroups with version 2, and none with privileges or version 1", async () => {
    const types = async (options: SpecOptions) =>
      (await spec(options)).linux.namespaces.map(({ type }) => type);
    expect(await types({})).toContain("cgroup");
    expect(await types({ security: { privileged: true } })).not.toContain("cgroup");
    expect(await types({ host: plainHost })).not.toContain("cgroup");
  });

  it("denies all devices but those of the runtime", async () => {
    expect((await spec()).linux.resources.devices).toEqual([{ allow: false, access: "rwm" }]);
  });

  it.each([
    ["VALIDATION_ERROR rootPath", { input: { rootPath: "relative" } }],
    ["VALIDATION_ERROR rootPath", { input: { rootPath: "/does/not/exist" } }],
    ["VALIDATION_ERROR hostname", { sandbox: { hostname: "a b" } }],
    ["VALIDATION_ERROR hostname", { sandbox: { hostname: "a".repeat(65) } }],
    ["VALIDATION_ERROR hostname", { sandbox: { hostname: "-x" } }],
    ["VALIDATION_ERROR cgroupParent", { input: { cgroupsPath: "/a/../../b" } }],
    ["VALIDATION_ERROR cgroupParent", { input: { cgroupsPath: "relative" } }],
    ["VALIDATION_ERROR cgroupParent", { input: { cgroupsPath: "/" } }],
    [
      "RUNTIME_NOT_SUPPORTED resources",
      {
        input: { cgroupsPath: undefined },
        resources: { memoryLimitInBytes: 5_000_000 },
      },
    ],
    [
      "VALIDATION_ERROR privileged",
      {
        security: { privileged: true },
        sandbox: { linux: { securityContext: { privileged: false } } },
      },
    ],
    ["VALIDATION_ERROR maskedPaths", { security: { maskedPaths: ["../x"] } }],
    ["VALIDATION_ERROR readonlyPaths", { security: { readonlyPaths: ["/a/../x"] } }],
    ["RUNTIME_NOT_SUPPORTED cdiDevices", { config: { cdiDevices: [{ name: "a.com/b=c" }] } }],
    ["RUNTIME_NOT_SUPPORTED selinuxOptions", { security: { selinuxOptions: { type: "spc_t" } } }],
    [
      "RUNTIME_NOT_SUPPORTED apparmor",
      {
        security: { apparmor: { profileType: "localhost", localhostRef: "mine" } },
      },
    ],
  ] as const)("is refused: %s", async (expected, options) => {
    expect(await refusal(() => spec(options))).toBe(expected);
  });

  it("takes a cgroup of systemd", async () => {
    const cgroupsPath = "kubepods-pod_1.slice:longshore:c1";
    expect((await spec({ input: { cgroupsPath } })).linux.cgroupsPath).toBe(cgroupsPath);
  });

  it("has the AppArmor profile that is loaded", async () => {
    const loaded = (...names: string[]) => ({ ...plentifulHost, appArmorProfiles: new Set(names) });
    const profileOf = async (apparmor: object, host = plentifulHost) =>
      (await spec({ security: { apparmor } as SpecOptions["security"] & object, host })).process
        .apparmorProfile;
    const runtimeDefault = { profileType: "runtimeDefault" };
    expect(await profileOf(runtimeDefault)).toBeUndefined();
    expect(await profileOf(runtimeDefault, loaded("docker-default"))).toBe("docker-default");
    expect(await refusal(() => profileOf(runtimeDefault, loaded("other")))).toBe(
      "RUNTIME_NOT_SUPPORTED apparmor",
    );
    const localhost = { profileType: "localhost", localhostRef: "localhost/mine" };
    expect(await profileOf(localhost, loaded("mine"))).toBe("mine");
    expect(await refusal(() => profileOf(localhost, loaded("other")))).toBe(
      "RUNTIME_NOT_SUPPORTED apparmor",
    );
  });

  it("relabels nothing, and says so only where there are labels", async () => {
    const config = {
      mounts: [{ hostPath: "/", containerPath: "/host", selinuxRelabel: true }],
    };
    expect((await spec({ config })).mounts).toHaveLength(8);
    expect(
      await refusal(() => spec({ config, host: { ...plentifulHost, hasSelinux: true } })),
    ).toBe("RUNTIME_NOT_SUPPORTED selinuxOptions");
  });
});
