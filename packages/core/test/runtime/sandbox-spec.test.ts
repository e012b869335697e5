import { readFileSync } from "node:fs";
import {
  decodeSandboxSpec,
  encodeSandboxSpec,
  openSandbox,
  sandboxJsonSchema,
  type RunPodSandboxRequest,
  type RuntimeClient,
  type SandboxEgress,
  type SandboxOptions,
  type SandboxSpec,
} from "@longshore/core";
import { describe, expect, it } from "vitest";
import { specHash } from "../../src/runtime/sandbox-labels.ts";
import { tempRuntime } from "./temp-runtime.ts";

const egress: SandboxEgress = {
  allow: ["api.example.com", "*.example.org:8443"],
  secrets: { API_KEY: { hosts: ["api.example.com"], value: "s3cret" } },
};

const full: Required<SandboxSpec> = {
  image: "debian:12-slim",
  pull: "never",
  name: "box-1",
  runtimeHandler: "runc",
  memoryMb: 256,
  cpus: 0.5,
  pids: 64,
  network: "bridge",
  egress,
  ports: [{ port: 80, hostPort: 8_080, hostIp: "127.0.0.1", protocol: "tcp" }],
  mounts: [{ hostPath: "/srv/data", path: "/data", readonly: true }],
  readonlyRootfs: true,
  env: { memory_mb: "kept as it is", someName: "too" },
  cwd: "/work",
  user: "1000:1000",
  labels: { host_path: "kept" },
  command: ["sleep", "infinity"],
  timeoutMs: 60_000,
  idleTimeoutMs: 5_000,
};

const wire = {
  image: "debian:12-slim",
  pull: "never",
  name: "box-1",
  runtime_handler: "runc",
  memory_mb: 256,
  cpus: 0.5,
  pids: 64,
  network: "bridge",
  egress,
  ports: [{ port: 80, host_port: 8_080, host_ip: "127.0.0.1", protocol: "tcp" }],
  mounts: [{ host_path: "/srv/data", path: "/data", readonly: true }],
  readonly_rootfs: true,
  env: { memory_mb: "kept as it is", someName: "too" },
  cwd: "/work",
  user: "1000:1000",
  labels: { host_path: "kept" },
  command: ["sleep", "infinity"],
  timeout_ms: 60_000,
  idle_timeout_ms: 5_000,
};

/** What the runtime was asked for. */
async function asked(options: SandboxOptions): Promise<{
  readonly pod: RunPodSandboxRequest["config"];
  readonly env: Readonly<Record<string, string>>;
}> {
  await using host = await tempRuntime();
  const { runtime, images } = host;
  let pod: RunPodSandboxRequest["config"] | undefined;
  const noting: RuntimeClient = {
    ...runtime,
    runPodSandbox(request, call) {
      pod = request.config;
      return runtime.runPodSandbox(request, call);
    },
  };
  await using sandbox = await openSandbox(noting, { images, ...options });
  const { stdout } = await sandbox.run(["env"]);
  const lines = stdout.trim().split("\n");
  const env = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  if (pod === undefined) throw new Error("no sandbox was asked for");
  return { pod, env };
}

describe("a sandbox spec", () => {
  it("is the same object on the wire and here, but for its names", () => {
    expect(encodeSandboxSpec(full)).toEqual(wire);
    expect(decodeSandboxSpec(wire)).toEqual(full);
    expect(decodeSandboxSpec(JSON.parse(JSON.stringify(wire)))).toEqual(full);
  });

  it("may have the names of older documents, but not both", () => {
    const old = { image: "a", backend: "kata", vcpus: 2 };
    expect(decodeSandboxSpec(old)).toEqual({ image: "a", runtimeHandler: "kata", cpus: 2 });
    expect(decodeSandboxSpec({ image: "a", backend: "auto" }).runtimeHandler).toBe("");
    for (const both of [
      { ...old, cpus: 1 },
      { ...old, runtime_handler: "runc" },
    ]) {
      expect(() => decodeSandboxSpec(both)).toThrow(/Unrecognized/);
    }
    expect(() => decodeSandboxSpec([old])).toThrow(/expected object/i);
  });

  it("is published as a JSON Schema", () => {
    const file = new URL("../../schema/sandbox.v1.json", import.meta.url);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(sandboxJsonSchema());
  });

  it.each([
    [{ ...wire, memory: 5 }, "", "memory"],
    [{ ...wire, memoryMb: 5 }, "", "memoryMb"],
    [{ ...wire, memory_mb: 0 }, "memory_mb", ""],
    [{ ...wire, ports: [{ port: 70_000 }] }, "ports[0].port", ""],
    [
      { ...wire, mounts: [{ host_path: "relative", path: "/a" }] },
      "mounts[0].host_path",
      "absolute",
    ],
    [{ ...wire, env: { "A=B": "x" } }, "env.A=B", "name of an environment variable"],
    [{ ...wire, env: { API_KEY: "mine" } }, "env.API_KEY", "secret"],
    [
      { ...wire, labels: { "longshore.io/sandbox": "x" } },
      "labels.longshore.io/sandbox",
      "must not begin",
    ],
    [{ ...wire, egress: { allow: ["http://a.b/"] } }, "egress.allow[0]", "host"],
    [
      { ...wire, egress: { allow: ["a.b"], secrets: { KEY: { hosts: ["c.d"], value: "x" } } } },
      "egress.secrets.KEY.hosts",
      "c.d",
    ],
    [{ ...wire, network: "none" }, "egress", "bridge"],
    [{ image: "a", network: "none", ports: [{ port: 1 }] }, "ports", "bridge"],
    [{ image: "a", timeout_ms: 2 ** 31 }, "timeout_ms", ""],
    [{ image: "a", name: "No Such Name" }, "name", "host name"],
    [{ image: "" }, "image", ""],
    [null, "", ""],
  ])("is refused when it makes no sense: %#", (spec, path, message) => {
    const refusal = expect.objectContaining({
      path,
      message: expect.stringContaining(message),
    });
    let thrown: unknown;
    try {
      decodeSandboxSpec(spec);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({
      code: "VALIDATION_ERROR",
      details: { issues: expect.arrayContaining([refusal]) },
    });
  });

  it.each([
    { image: "base", memory_mb: 64 },
    { image: "base", memoryMB: 64 },
    { image: "base", ports: [{ port: 1, host_port: 2 }] },
    { image: "base", cpus: Number.NaN },
    { image: "base", command: [] },
  ])("is checked when a sandbox is opened: %j", async (spec) => {
    await using host = await tempRuntime();
    const opening = openSandbox(host.runtime, spec);
    await expect(opening).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await host.runtime.listPodSandbox()).toEqual([]);
  });
});

describe("the network of a sandbox", () => {
  const network = (pod: RunPodSandboxRequest["config"]): unknown => [
    pod.linux?.securityContext?.namespaceOptions?.network,
    pod.egress,
  ];

  it("is none unless something is allowed", async () => {
    expect(network((await asked({ image: "base" })).pod)).toEqual(["none", undefined]);
  });

  it("reaches the hosts that are allowed", async () => {
    const { pod } = await asked({ image: "base", egress: { allow: ["*"] } });
    expect(network(pod)).toEqual(["pod", { allow: ["*"], secrets: [] }]);
  });

  it("lets in by its ports, on loopback, and nothing out", async () => {
    const { pod } = await asked({ image: "base", ports: [{ port: 80, hostPort: 8_080 }] });
    expect(network(pod)).toEqual(["pod", { allow: [] }]);
    expect(pod.portMappings).toEqual([{ containerPort: 80, hostPort: 8_080, hostIp: "127.0.0.1" }]);
  });

  it("is the pods' own when that is what is asked for", async () => {
    const { pod } = await asked({ image: "base", network: "bridge" });
    expect(network(pod)).toEqual(["pod", undefined]);
  });
});

describe("a secret", () => {
  it("shows inside as a placeholder that the runtime knows, another one each time", async () => {
    const options: SandboxOptions = {
      image: "base",
      env: { COLOR: "red" },
      egress,
    };
    const { pod, env } = await asked(options);
    const placeholder = env["API_KEY"] ?? "";
    expect(placeholder).toMatch(/^longshore-[0-9a-f]{48}$/);
    expect(env["COLOR"]).toBe("red");
    expect(pod.egress).toEqual({
      allow: ["api.example.com", "*.example.org:8443"],
      secrets: [{ placeholder, value: "s3cret", hosts: ["api.example.com"] }],
    });
    const { egress: _egress, ...rest } = pod;
    expect(JSON.stringify([rest, env])).not.toContain("s3cret");
    expect((await asked(options)).env["API_KEY"]).not.toBe(placeholder);
  });
});

describe("specHash", () => {
  it("depends on what a spec says, the secret too, and not on how it is written", async () => {
    const hash = await specHash(full);
    expect(hash).toMatch(/^[0-9a-f]{32}$/);
    expect(await specHash(Object.fromEntries(Object.entries(full).toReversed()) as never)).toBe(
      hash,
    );
    const secrets = { API_KEY: { hosts: ["api.example.com"], value: "another" } };
    const others: SandboxSpec[] = [
      { ...full, memoryMb: 257 },
      { ...full, egress: { ...egress, allow: ["api.example.com"] } },
      { ...full, egress: { ...egress, secrets } },
      { ...full, egress: { allow: egress.allow } },
    ];
    const hashes = await Promise.all(others.map(specHash));
    expect(new Set([hash, ...hashes]).size).toBe(5);
  });
});
