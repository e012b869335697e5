import {
  denyAllPolicy,
  type ImageClient,
  type Policy,
  type PolicyRequest,
  type RuntimeClient,
} from "@longshore/core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { isHostCovered } from "../src/egress-hosts.ts";
import { ContainerRunner, script } from "./container-run.ts";

let runner: ContainerRunner;
beforeAll(async () => {
  runner = await ContainerRunner.open();
});
afterEach(() => runner.assertNothingLeft());
afterAll(() => runner[Symbol.asyncDispose]());

/** A store, or runtime, that tells which of its methods were called. */
function watched<Client extends object>(client: Client, calls: string[]): Client {
  return new Proxy(client, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        calls.push(String(name));
        return Reflect.apply(value, target, args);
      };
    },
  });
}

describe("images", () => {
  test.each([
    ["other", []],
    ["base", []],
    ["registry.example/base", ["base"]],
    ["base:other", ["base"]],
    ["docker.io/evil/base", ["library/*"]],
  ])("%s is not let in by %j, and nothing is asked for", async (image, allowedImages) => {
    const calls: string[] = [];
    const error = await runner.fail({
      runtime: script("true", { image }),
      rules: { allowedImages },
      handler: {
        images: watched<ImageClient>(runner.temp.images, calls),
        runtime: watched<RuntimeClient>(runner.temp.runtime, calls),
      },
    });
    expect(error).toMatchObject({ code: "IMAGE_NOT_ALLOWED" });
    expect(calls).toEqual([]);
  });

  test.each(["-v", "--privileged", "base;id", "../base", "BASE"])(
    "%s is no image",
    async (image) => {
      const error = await runner.fail({
        runtime: script("true", { image }),
        rules: { allowedImages: ["*"] },
      });
      expect(error.code).toMatch(/^(VALIDATION_ERROR|IMAGE_NOT_ALLOWED)$/);
    },
  );

  test("are let in under their full names", async () => {
    const outcome = await runner.succeed({
      runtime: script("true", { image: "docker.io/library/base:latest" }),
      rules: { allowedImages: ["base"] },
    });
    expect(outcome.exitCode).toBe(0);
  });

  test("that are not there, and are not to be pulled, are missed", async () => {
    const error = await runner.fail({
      runtime: script("true", { image: "missing" }),
      rules: { allowedImages: ["*"] },
      handler: { pull: "never" },
    });
    expect(error.code).toBe("IMAGE_NOT_FOUND");
    expect(
      await runner.fail({
        runtime: script("true", { image: "missing" }),
        rules: { allowedImages: ["*"] },
      }),
    ).toMatchObject({ code: "IMAGE_NOT_FOUND" });
  });
});

describe("modes", () => {
  test("that the rules do not name are refused", async () => {
    const error = await runner.fail({
      runtime: script("true"),
      rules: { allowedModes: ["handler"] },
    });
    expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
  });

  test.each(["handler", "process"] as const)("%s is none of a container", async (mode) => {
    const error = await runner.fail({
      runtime: { ...script("true"), mode },
      rules: { allowedModes: [mode] },
    });
    expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
  });
});

describe("sandboxes", () => {
  test("of a backend that is not there are refused, never replaced", async () => {
    for (const backend of ["auto", "kata", ""]) {
      const error = await runner.fail({
        runtime: { ...script("true"), mode: "sandbox", sandbox: { backend } },
        handler: { backends: ["kata"] },
      });
      expect(error.code).toBe(backend === "" ? "VALIDATION_ERROR" : "RUNTIME_NOT_SUPPORTED");
    }
  });

  test("are made by the first backend that is available", async () => {
    const handlers: string[] = [];
    const { runtime } = runner.temp;
    const names = ["", "gvisor", "kata"];
    const features = { recursiveReadOnlyMounts: false, userNamespaces: false };
    const outcome = await runner.succeed({
      runtime: { ...script("echo in"), mode: "sandbox", sandbox: { backend: "auto" } },
      handler: {
        backends: ["missing", "kata", "gvisor"],
        runtime: {
          ...runtime,
          status: async () => ({
            ...(await runtime.status()),
            runtimeHandlers: names.map((name) => ({ name, features })),
          }),
          runPodSandbox: ({ config, runtimeHandler = "" }, options) => {
            handlers.push(runtimeHandler);
            return runtime.runPodSandbox({ config }, options);
          },
        },
      },
    });
    expect(outcome.stdout).toBe("in\n");
    expect(handlers).toEqual(["kata"]);
  });
});

describe("limits and network", () => {
  /** What the runtime was asked for. */
  const asked = async (
    runtime: Parameters<ContainerRunner["run"]>[0]["runtime"],
    handler: Parameters<ContainerRunner["run"]>[0]["handler"] = {},
  ) => {
    const client = runner.temp.runtime;
    const requests: Parameters<RuntimeClient["createContainer"]>[0][] = [];
    await runner.succeed({
      runtime: { ...script("true"), ...runtime },
      handler: {
        ...handler,
        runtime: {
          ...client,
          createContainer: (request, options) => {
            requests.push(request);
            return client.createContainer(request, options);
          },
        },
      },
    });
    return requests[0];
  };

  test("come from the rules when a job says nothing", async () => {
    const request = await asked({});
    expect(request?.config.linux?.resources).toEqual({
      memoryLimitInBytes: 512 * 1_048_576,
      memorySwapLimitInBytes: 512 * 1_048_576,
      cpuPeriod: 100_000,
      cpuQuota: 100_000,
      unified: { "pids.max": "256" },
    });
    expect(request?.config.linux?.securityContext).toMatchObject({
      noNewPrivs: true,
      seccomp: { profileType: "runtimeDefault" },
      namespaceOptions: { network: "none" },
    });
    expect(request?.sandboxConfig.linux?.securityContext?.namespaceOptions?.network).toBe("none");
  });

  test("come from the job when it says something", async () => {
    const request = await asked({ limits: { memoryMb: 64, cpus: 0.5, pids: 10 }, user: "12:34" });
    expect(request?.config.linux).toMatchObject({
      resources: {
        memoryLimitInBytes: 64 * 1_048_576,
        cpuQuota: 50_000,
        unified: { "pids.max": "10" },
      },
      securityContext: { runAsUser: 12, runAsGroup: 34 },
    });
  });

  test("are refused beyond the rules", async () => {
    const error = await runner.fail({
      runtime: script("true", { limits: { memoryMb: 65 } }),
      rules: { max: { memoryMb: 64 } },
    });
    expect(error.code).toBe("LIMIT_EXCEEDED");
    const disk = await runner.fail({ runtime: script("true", { limits: { diskMb: 1 } }) });
    expect(disk).toMatchObject({ code: "RUNTIME_NOT_SUPPORTED", details: { limit: "disk_mb" } });
  });

  test("give a network only where the worker does", async () => {
    const bridge = { limits: { network: "bridge" } };
    const refused = await runner.fail({ runtime: script("true", bridge) });
    expect(refused.code).toBe("POLICY_DENIED");
    const request = await asked(bridge, { network: "bridge" });
    expect(request?.config.linux?.securityContext?.namespaceOptions?.network).toBe("pod");
    const host = await runner.fail({
      runtime: script("true", { limits: { network: "host" } }),
      handler: { network: "bridge" },
    });
    expect(host.code).toBe("VALIDATION_ERROR");
  });

  test("let a job reach the hosts it names", async () => {
    const runtime = { sandbox: { network: { allow: ["example.com:443"] } } };
    const request = await asked(runtime, { network: "egress", allowedHosts: ["*.com:443"] });
    expect(request?.sandboxConfig.egress).toEqual({ allow: ["example.com:443"] });
    expect(() => runner.handler({ allowedHosts: ["http://x"] })).toThrow(RangeError);
  });

  test.each([
    ["example.com", ["example.com"], true],
    ["EXAMPLE.com:443", ["example.com"], true],
    ["a.b.example.com", ["*.example.com"], true],
    ["*.b.example.com", ["*.example.com"], true],
    ["*", ["*"], true],
    ["example.com:22", ["*:22"], true],
    ["10.0.0.5:80", ["10.0.0.5"], true],
    ["[fd00::5]:443", ["fd00::5"], true],
    ["example.com", [], false],
    ["example.com", ["*.example.com"], false],
    ["badexample.com", ["*.example.com"], false],
    ["*.example.com", ["example.com"], false],
    ["*", ["*.com"], false],
    ["example.com:22", ["*"], false],
    ["example.com", ["example.com:443"], false],
    ["10.0.0.5", ["*"], false],
    ["169.254.169.254", ["*", "*.254"], false],
    ["fd00::5", ["*"], false],
    ["[::ffff:10.0.0.5]:80", ["*"], false],
    ["127.1", ["*"], false],
    ["0x7f000001", ["*"], false],
    ["2130706433", ["*"], false],
    ["127.0.0.1.", ["*"], false],
    ["a*b.com", ["*"], false],
    ["", ["*"], false],
    ["user@example.com", ["*"], false],
  ])("let it name %j with %j allowed: %j", (wanted, allowed, isAllowed) => {
    expect(isHostCovered(wanted, allowed)).toBe(isAllowed);
  });

  test("refuse a host that is not allowed", async () => {
    const error = await runner.fail({
      runtime: script("true", { sandbox: { network: { allow: ["169.254.169.254"] } } }),
      handler: { network: "bridge", allowedHosts: ["*"] },
    });
    expect(error).toMatchObject({ code: "POLICY_DENIED", details: { host: "169.254.169.254" } });
  });
});

describe("the policy", () => {
  test("is asked before every call, for the subject of the job", async () => {
    const requests: PolicyRequest[] = [];
    const policy: Policy = {
      name: "recording",
      check: async (request) => {
        requests.push(request);
        return { allowed: true };
      },
    };
    await runner.succeed({
      runtime: script("true"),
      handler: { policy, subject: () => "token:alice" },
    });
    expect(requests.map(({ object, action }) => `${action} ${object}`)).toEqual([
      "write image:docker.io/library/base:latest",
      "execute sandbox:*",
      "execute container:*",
      expect.stringMatching(/^execute container:[0-9a-f]{32}$/),
    ]);
    expect(new Set(requests.map(({ subject }) => subject))).toEqual(new Set(["token:alice"]));
  });

  test("ends a job at whatever it denies, with nothing left", async () => {
    expect(
      await runner.fail({ runtime: script("true"), handler: { policy: denyAllPolicy() } }),
    ).toMatchObject({ code: "POLICY_DENIED", details: { subject: "service:worker-1" } });
    for (const denied of [/^image:/, /^sandbox:/, /^container:\*$/, /^container:[0-9a-f]/]) {
      const policy: Policy = {
        name: "partial",
        check: async ({ object }) => ({ allowed: !denied.test(object) }),
      };
      const error = await runner.fail({ runtime: script("true"), handler: { policy } });
      expect(error.code).toBe("POLICY_DENIED");
      expect(await runner.leftovers()).toEqual([]);
    }
  });
});
