import { describe, expect, it } from "vitest";
import {
  containerUser,
  mergeImageConfig,
  type ContainerConfig,
  type ImageConfig,
} from "../../src/index.ts";

const image: ImageConfig = {
  user: "app",
  env: ["PATH=/bin", "LANG=C", "nonsense", "=x"],
  entrypoint: ["/entry"],
  cmd: ["serve"],
  workingDir: "/srv",
  stopSignal: "SIGQUIT",
  labels: {},
  exposedPorts: [],
  volumes: [],
  os: "linux",
  architecture: "amd64",
};

const merge = (config: Partial<ContainerConfig> = {}, changes: Partial<ImageConfig> = {}) =>
  mergeImageConfig(
    { ...image, ...changes },
    { metadata: { name: "c" }, image: { image: "i" }, ...config },
  );

const refused = (field: string) =>
  expect.objectContaining({ code: "VALIDATION_ERROR", details: { field } });

describe("the process of a container", () => {
  it("is the image's when nothing is said", () => {
    expect(merge()).toEqual({
      argv: ["/entry", "serve"],
      env: ["PATH=/bin", "LANG=C"],
      workingDir: "/srv",
      user: "app",
      tty: false,
      stdin: false,
      stopSignal: "SIGQUIT",
    });
  });

  it.each([
    [{ args: ["other"] }, ["/entry", "other"]],
    [{ command: ["/own"] }, ["/own"]],
    [{ command: ["/own"], args: ["x"] }, ["/own", "x"]],
    [{ command: [], args: [] }, ["/entry", "serve"]],
  ])("has the command of %o", (config, argv) => {
    expect(merge(config).argv).toEqual(argv);
  });

  it("is refused without a command", () => {
    const bare = { entrypoint: [], cmd: [] };
    expect(() => merge({}, bare)).toThrow(refused("command"));
    expect(merge({ args: ["/bin/true"] }, bare).argv).toEqual(["/bin/true"]);
  });

  it("has each variable once, the container's before the image's, and every byte of it", () => {
    const bytes = Uint8Array.of(0xff, 0x0a);
    const { env } = merge({
      envs: [
        { key: "LANG", value: "de" },
        { key: "LANG", value: "fr" },
        { key: "NEW", value: "a\nb=c" },
        { key: "RAW", value: bytes },
      ],
    });
    expect(env).toEqual([
      "PATH=/bin",
      "LANG=fr",
      "NEW=a\nb=c",
      Buffer.concat([Buffer.from("RAW="), bytes]),
    ]);
  });

  it.each(["", "A=B", "A\0"])("is refused with a variable called %j", (key) => {
    expect(() => merge({ envs: [{ key, value: "x" }] })).toThrow(refused("envs"));
  });

  it("starts where the container says, else the image, else at the root", () => {
    expect(merge({ workingDir: "/own" }).workingDir).toBe("/own");
    expect(merge({}, { workingDir: "app/../web" }).workingDir).toBe("/web");
    expect(merge({}, { workingDir: "" }).workingDir).toBe("/");
    expect(merge({}, { workingDir: undefined }).workingDir).toBe("/");
  });

  it("is stopped by the signal of the container, else the image, else SIGTERM", () => {
    expect(merge({ stopSignal: "SIGINT" }).stopSignal).toBe("SIGINT");
    expect(merge({}, { stopSignal: "" }).stopSignal).toBe("SIGTERM");
  });
});

describe("the user of a container", () => {
  it("is the security context's, else the image's", () => {
    expect(containerUser(undefined, "app")).toBe("app");
    expect(containerUser({}, "")).toBeUndefined();
    expect(containerUser({ runAsUser: 0 }, "app")).toBe("0");
    expect(containerUser({ runAsUser: 5, runAsUsername: "x" }, "app:staff")).toBe("5");
    expect(containerUser({ runAsUsername: "web", runAsGroup: 7 }, "app")).toBe("web:7");
    expect(containerUser({ runAsUsername: "" }, "app")).toBe("app");
  });

  it("is refused as what is none", () => {
    expect(() => containerUser({ runAsGroup: 7 }, "app")).toThrow(refused("runAsGroup"));
    expect(() => containerUser({ runAsUser: 1, runAsGroup: -7 })).toThrow(refused("runAsGroup"));
    expect(() => containerUser({ runAsUsername: "a:b" })).toThrow(refused("runAsUsername"));
    for (const runAsUser of [-1, 1.5, Number.NaN, 2 ** 32 - 1]) {
      expect(() => containerUser({ runAsUser })).toThrow(refused("runAsUser"));
    }
  });
});
