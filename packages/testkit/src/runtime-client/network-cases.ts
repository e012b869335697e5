import { readlink } from "node:fs/promises";
import type { PodSandboxConfig } from "@longshore/core";
import { expect } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import type { CasePod, RuntimeCase } from "./runtime-case.ts";
import { connectTo, freePort, greet, greeter, untilListening } from "./tcp-server.ts";

/** Interfaces that a kernel puts into every network namespace for tunnels nobody has asked for. */
const fallbackDevices = /^(tunl|sit|ip6tnl|gre|gretap|erspan|ip_vti|ip6_vti|ip6gre)\d+$/;

const interfaces = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '";

function networked(tools: RuntimeCase, wishes: Partial<PodSandboxConfig> = {}): Promise<CasePod> {
  const linux = { securityContext: { namespaceOptions: { network: "pod" } } } as const;
  return tools.pod({ ...wishes, linux });
}

export const networkCases: CaseGroup = (check) => {
  const spaced = needing(check, "network namespaces");

  spaced("gives a pod without network nothing but loopback", async (tools) => {
    const container = await tools.launch();
    const names = (await tools.sh(container, interfaces)).split("\n");
    expect(names.filter((name) => !fallbackDevices.test(name))).toEqual(["lo"]);
    // IFF_UP and IFF_LOOPBACK of netdevice(7)
    expect(Number(await tools.sh(container, "cat /sys/class/net/lo/flags")) & 0x9).toBe(0x9);
    const { status } = await tools.runtime.podSandboxStatus(container);
    expect(status.network).toBeUndefined();
  });

  needing(spaced, "several containers")(
    "gives a pod's containers one network, and other pods another",
    async (tools) => {
      const one = await tools.launch();
      const two = await tools.launch({}, one);
      const other = await tools.launch();
      const [a, b, c] = await Promise.all(
        [one, two, other].map((container) => tools.sh(container, "readlink /proc/self/ns/net")),
      );
      expect(a).toBe(b);
      expect(a).not.toBe(c);
      expect(a).not.toBe(await readlink("/proc/self/ns/net"));
    },
  );

  const forwarded = needing(check, "port forwarding");
  forwarded("connects to a port inside of a pod, several times", async (tools) => {
    const container = await tools.launch({ command: greeter(8_080) });
    await untilListening(tools, container, 8_080);
    const forward = method(tools.runtime.portForward, "portForward").bind(tools.runtime);
    for (const name of ["one", "two"]) {
      const stream = await forward({ ...container, port: 8_080 });
      expect(await greet(stream, name)).toBe(`hello ${name}\n`);
    }
    const streams = await Promise.all([1, 2, 3].map(() => forward({ ...container, port: 8_080 })));
    for (const [index, stream] of streams.entries()) {
      expect(await greet(stream, String(index))).toBe(`hello ${index}\n`);
    }
  });

  forwarded("says that nobody listens on a port", async (tools) => {
    const container = await tools.launch();
    const forward = method(tools.runtime.portForward, "portForward").bind(tools.runtime);
    await expect(forward({ ...container, port: 8_081 })).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    await expect(forward({ ...container, port: 0 })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(forward({ podSandboxId: "no-such-sandbox", port: 80 })).rejects.toMatchObject({
      code: "SANDBOX_NOT_FOUND",
    });
  });

  const pod = needing(check, "pod network");
  pod("gives a pod an address, and tells it", async (tools) => {
    const container = await tools.launch({}, await networked(tools));
    const { status } = await tools.runtime.podSandboxStatus(container);
    expect(status.network?.ip).toMatch(/^[0-9.]+$|^[0-9a-f:]+$/);
    expect((await tools.sh(container, interfaces)).split("\n")).toContain("eth0");
    await tools.runtime.stopPodSandbox(container);
    expect((await tools.runtime.podSandboxStatus(container)).status.state).toBe("notready");
  });

  pod("connects pods by their addresses", async (tools) => {
    const server = await tools.launch({ command: greeter(8_080) }, await networked(tools));
    await untilListening(tools, server, 8_080);
    const { status } = await tools.runtime.podSandboxStatus(server);
    expect(await greet(await connectTo(8_080, status.network?.ip ?? ""), "host")).toBe(
      "hello host\n",
    );
  });

  pod("gives each pod an address of its own", async (tools) => {
    const pods = await Promise.all([1, 2, 3, 4].map(() => networked(tools)));
    const addresses = await Promise.all(
      pods.map(async (one) => (await tools.runtime.podSandboxStatus(one)).status.network?.ip),
    );
    expect(new Set(addresses).size).toBe(4);
    expect(addresses).not.toContain(undefined);
  });

  pod("opens a port of the host for a pod's, and closes it again", async (tools) => {
    const hostPort = await freePort();
    const portMappings = [{ containerPort: 8_080, hostPort, hostIp: "127.0.0.1" }];
    const server = await tools.launch(
      { command: greeter(8_080) },
      await networked(tools, { portMappings }),
    );
    await untilListening(tools, server, 8_080);
    expect(await greet(await connectTo(hostPort, "127.0.0.1"), "mapped")).toBe("hello mapped\n");
    await tools.runtime.removePodSandbox(server);
    await expect(connectTo(hostPort, "127.0.0.1")).rejects.toThrow();
  });

  pod("writes a pod's DNS settings", async (tools) => {
    const dnsConfig = {
      servers: ["192.0.2.53", "2001:db8::53"],
      searches: ["one.example", "two.example"],
      options: ["ndots:5", "edns0"],
    };
    const container = await tools.launch({}, await networked(tools, { dnsConfig }));
    const lines = (await tools.sh(container, "cat /etc/resolv.conf")).split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        "nameserver 192.0.2.53",
        "nameserver 2001:db8::53",
        "search one.example two.example",
        "options ndots:5 edns0",
      ]),
    );
  });

  pod("refuses DNS settings that could do harm", async (tools) => {
    for (const dnsConfig of [
      { servers: ["192.0.2.53\nnameserver 198.51.100.1"] },
      { searches: ["a b"] },
      { options: ["ndots:5\nnameserver 198.51.100.1"] },
    ]) {
      await expect(networked(tools, { dnsConfig })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });

  pod("knows itself by name", async (tools) => {
    const container = await tools.launch({}, await networked(tools, { hostname: "my-pod" }));
    const { status } = await tools.runtime.podSandboxStatus(container);
    const hosts = await tools.sh(container, "cat /etc/hosts");
    expect(hosts).toMatch(/^127\.0\.0\.1\s.*\blocalhost\b/m);
    const own = hosts.split("\n").find((line) => line.split(/\s+/)[0] === status.network?.ip);
    expect(own?.split(/\s+/)).toContain("my-pod");
  });
};
