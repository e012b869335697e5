import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { spawn, type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { bridgeNetwork, type SandboxNetworkSetup } from "../../src/index.ts";
import { openInternet } from "./internet.ts";
import {
  cannotMakeNetworks,
  leftovers,
  must,
  podConfig,
  run,
  testNetwork,
  within,
  withNetwork,
} from "./network-fixture.ts";
import {
  arpClaim,
  frameClaim,
  inVain,
  tcpClient,
  tcpGreeter,
  udpClient,
  udpEcho,
} from "./peers.ts";

const servers = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of servers) {
    const ended =
      child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined;
    child.kill("SIGKILL");
    await ended;
  }
  servers.clear();
});

/** Starts a Python program in a sandbox's network and waits until it is ready. */
async function serve(
  setup: SandboxNetworkSetup,
  program: string,
  ...args: string[]
): Promise<void> {
  const [command = "", ...rest] = within(setup, "python3", "-c", program, ...args);
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "inherit"] });
  servers.add(child);
  await once(createInterface({ input: child.stdout }), "line");
}

async function python(
  setup: SandboxNetworkSetup,
  program: string,
  ...args: string[]
): Promise<string> {
  return (await must(...within(setup, "python3", "-c", program, ...args))).trim();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe.skipIf(cannotMakeNetworks)("a bridge network (needs root)", () => {
  it("is ready where ip, nft and root are", async () => {
    await using net = await testNetwork();
    expect(await net.network.condition()).toStrictEqual({ isReady: true, reason: "" });
  });

  it("gives a sandbox without network nothing but loopback", async () => {
    await using net = await testNetwork();
    const setup = await net.open("a", withNetwork("none"));
    expect(setup.status).toBeUndefined();
    const links = JSON.parse(await must(...within(setup, "ip", "-json", "link"))) as {
      ifname: string;
      flags: string[];
    }[];
    expect(links.map((link) => link.ifname)).toStrictEqual(["lo"]);
    expect(links[0]?.flags).toContain("UP");
    expect(await must(...within(setup, "ip", "route"))).toBe("");
    await serve(setup, tcpGreeter, "127.0.0.1", "80");
    expect(await python(setup, tcpClient, "127.0.0.1", "80")).toBe("hello 127.0.0.1");
  });

  it("makes nothing for the host's own network", async () => {
    await using net = await testNetwork();
    expect(await net.network.setUp({ sandboxId: "a", config: withNetwork("node") })).toStrictEqual(
      {},
    );
    expect(await leftovers(net.name, net.directory)).toStrictEqual([]);
  });

  it("lets a sandbox out in both families under the host's address", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork({ subnet6: "fd12:3456:789a::/64" });
    await internet.start(["python3", "-c", tcpGreeter, internet.address, "80"]);
    await internet.start(["python3", "-c", tcpGreeter, internet.address6, "80"]);
    const setup = await net.open("a");
    expect(setup.status?.additionalIps).toStrictEqual(["fd12:3456:789a::2"]);
    expect(await python(setup, tcpClient, internet.address, "80")).toBe(
      `hello ${internet.hostAddress}`,
    );
    const seen = await python(setup, tcpClient, internet.address6, "80");
    expect(seen).toBe(`hello ${internet.hostAddress6}`);
  });

  it("lets a sandbox reach neither others nor the host, unless both are allowed", async () => {
    await using internet = await openInternet();
    const onHost = createServer((socket) => socket.end("hello from the host\n")).listen(
      0,
      "0.0.0.0",
    );
    await once(onHost, "listening");
    const { port } = onHost.address() as AddressInfo;
    try {
      for (const allow of [[], ["sandboxes", "host"]] as const) {
        await using net = await testNetwork({ allow, subnet6: "fd12:3456:789b::/64" });
        const hostPort = await freePort();
        const a = await net.open("a");
        const b = await net.open(
          "b",
          podConfig({ portMappings: [{ containerPort: 80, hostPort }] }),
        );
        const [b6 = ""] = b.status?.additionalIps ?? [];
        await serve(b, tcpGreeter, "0.0.0.0", "80");
        await serve(b, tcpGreeter, b6, "81");
        const gateway =
          (await must(...within(a, "ip", "route", "show", "default"))).split(" ")[2] ?? "";
        const patience = allow.length === 0 ? inVain : "20";
        const answers = {
          sandbox: await python(a, tcpClient, b.status?.ip ?? "", "80", patience),
          sandbox6: await python(a, tcpClient, b6, "81", patience),
          published: await python(a, tcpClient, internet.hostAddress, String(hostPort), patience),
          gateway: await python(a, tcpClient, gateway, String(port), patience),
          host: await python(a, tcpClient, internet.hostAddress, String(port), patience),
          own: await python(b, tcpClient, "127.0.0.1", "80"),
        };
        const shut = allow.length === 0;
        expect(answers).toStrictEqual({
          sandbox: shut ? "TimeoutError" : `hello ${a.status?.ip}`,
          sandbox6: shut ? "TimeoutError" : `hello ${a.status?.additionalIps[0]}`,
          published: shut ? "TimeoutError" : `hello ${gateway}`,
          gateway: shut ? "TimeoutError" : "hello from the host",
          host: shut ? "TimeoutError" : "hello from the host",
          own: "hello 127.0.0.1",
        });
      }
    } finally {
      onHost.close();
    }
  });

  it("keeps the host's loopback from sandboxes although host ports of loopback are led in", async () => {
    await using net = await testNetwork({ allow: ["host"] });
    const onHost = createServer((socket) => socket.end("secret\n")).listen(0, "127.0.0.1");
    await once(onHost, "listening");
    const { port } = onHost.address() as AddressInfo;
    try {
      const setup = await net.open("a");
      await must(...within(setup, "ip", "addr", "del", "127.0.0.1/8", "dev", "lo"));
      await must(
        ...within(
          setup,
          "ip",
          "route",
          "add",
          "127.0.0.0/8",
          "via",
          "10.213.0.1",
          "dev",
          "eth0",
          "onlink",
        ),
      ).catch(() => must(...within(setup, "ip", "route", "add", "127.0.0.0/8", "dev", "eth0")));
      expect(await python(setup, tcpClient, "127.0.0.1", String(port), inVain)).not.toContain(
        "secret",
      );
    } finally {
      onHost.close();
    }
  });

  it("drops what claims to come from somebody else", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork();
    const listener = await internet.start(["python3", "-c", udpEcho, internet.address, "9000"]);
    const a = await net.open("a");
    const b = await net.open("b");
    const foreign = b.status?.ip ?? "";
    await must(...within(a, "ip", "addr", "add", `${foreign}/32`, "dev", "eth0"));
    expect(await python(a, udpClient, internet.address, "9000", "spoofed", inVain, foreign)).toBe(
      "TimeoutError",
    );
    await must(...within(a, "ip", "addr", "add", "8.8.4.4/32", "dev", "eth0"));
    expect(await python(a, udpClient, internet.address, "9000", "spoofed", inVain, "8.8.4.4")).toBe(
      "TimeoutError",
    );
    // Only now something arrives: nothing did before.
    expect(
      await python(a, udpClient, internet.address, "9000", "true", "20", a.status?.ip ?? ""),
    ).toBe("true");
    expect(await listener.nextLine()).toBe(`${internet.hostAddress} true`);

    const mac = (await must(...within(b, "cat", "/proc/net/arp"))).length;
    expect(mac).toBeGreaterThan(0);
    await must(...within(a, "ip", "link", "set", "eth0", "address", "02:11:22:33:44:55"));
    expect(
      await python(a, udpClient, internet.address, "9000", "other mac", inVain, a.status?.ip ?? ""),
    ).toBe("TimeoutError");
  });

  it("drops what claims to come from somebody else in IPv6 too, and advertisements", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork({
      subnet6: "fd12:3456:789d::/64",
      allow: ["host", "sandboxes"],
    });
    const listener = await internet.start(["python3", "-c", udpEcho, internet.address6, "9000"]);
    const a = await net.open("a");
    const own = a.status?.additionalIps[0] ?? "";
    const foreign = "fd12:3456:789d::99";
    await must(...within(a, "ip", "addr", "add", `${foreign}/128`, "dev", "eth0", "nodad"));
    const spoofed = await python(
      a,
      udpClient,
      internet.address6,
      "9000",
      "spoofed",
      inVain,
      foreign,
    );
    expect(spoofed).toBe("TimeoutError");
    expect(await python(a, udpClient, internet.address6, "9000", "true", "20", own)).toBe("true");
    expect(await listener.nextLine()).toBe(`${internet.hostAddress6} true`);
    expect(await readFile(`/proc/sys/net/ipv6/conf/${net.name}/accept_ra`, "utf8")).toBe("0\n");
  });

  it("believes no neighbour who claims another's address", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork({ allow: ["sandboxes"] });
    await internet.start(["python3", "-c", udpEcho, internet.address, "9000"]);
    const a = await net.open("a");
    const b = await net.open("b");
    const c = await net.open("c");
    await serve(b, tcpGreeter, "0.0.0.0", "80");
    expect(await python(c, tcpClient, b.status?.ip ?? "", "80")).toBe(`hello ${c.status?.ip}`);
    const gateway =
      (await must(...within(a, "ip", "route", "show", "default"))).split(" ")[2] ?? "";
    const before = await must("ip", "neigh", "show", "dev", net.name);
    const neighbours = await must(...within(c, "ip", "-o", "neigh", "show", b.status?.ip ?? ""));
    for (const address of [b.status?.ip ?? "", gateway]) {
      expect(await python(a, arpClaim, address)).toBe("sent");
    }
    expect(await must("ip", "neigh", "show", "dev", net.name)).toBe(before);
    const macOfB =
      /link\/ether (\S+)/.exec(await must(...within(b, "ip", "link", "show", "eth0")))?.[1] ?? "";
    const portOfB = async (): Promise<string | undefined> =>
      (await must("bridge", "fdb", "show", "br", net.name))
        .split("\n")
        .find((line) => line.startsWith(macOfB) && !line.includes("permanent"));
    const port = await portOfB();
    expect(port).toContain(macOfB);
    expect(await python(a, frameClaim, macOfB, a.status?.ip ?? "")).toBe("sent");
    expect(await python(a, udpClient, internet.address, "9000", "behind it")).toBe("behind it");
    expect(await portOfB()).toBe(port);
    expect(before).toContain("PERMANENT");
    const after = await must(...within(c, "ip", "-o", "neigh", "show", b.status?.ip ?? ""));
    expect(after.split("lladdr ")[1]?.slice(0, 17)).toBe(
      neighbours.split("lladdr ")[1]?.slice(0, 17),
    );
    expect(await python(c, udpClient, internet.address, "9000", "still here")).toBe("still here");
  });

  it("leads host ports in, from other machines and from the host itself", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork({ subnet6: "fd12:3456:789c::/64" });
    const [tcp, udp, bound] = [await freePort(), await freePort(), await freePort()];
    const setup = await net.open(
      "a",
      podConfig({
        portMappings: [
          { containerPort: 80, hostPort: tcp },
          { protocol: "udp", containerPort: 53, hostPort: udp },
          { containerPort: 80, hostPort: bound, hostIp: "127.0.0.1" },
          { protocol: "sctp", containerPort: 90, hostPort: tcp },
          { containerPort: 9999, hostPort: 0 },
        ],
      }),
    );
    await serve(setup, tcpGreeter, "0.0.0.0", "80");
    await serve(setup, udpEcho, "0.0.0.0", "53");
    await serve(setup, tcpGreeter, setup.status?.additionalIps[0] ?? "", "80");
    const host = { namespacePath: "/proc/self/ns/net" };
    const remote = async (program: string, ...args: string[]): Promise<string> =>
      (await must(...internet.on("python3", "-c", program, ...args))).trim();

    expect(await remote(tcpClient, internet.hostAddress, String(tcp))).toBe(
      `hello ${internet.address}`,
    );
    expect(await remote(tcpClient, internet.hostAddress6, String(tcp))).toBe(
      `hello ${internet.address6}`,
    );
    expect(await remote(udpClient, internet.hostAddress, String(udp), "hi")).toBe("hi");
    expect(await remote(tcpClient, internet.hostAddress, String(bound))).toBe(
      "ConnectionRefusedError",
    );
    expect(await python(host, tcpClient, "127.0.0.1", String(tcp))).toMatch(/^hello 10\./);
    expect(await python(host, udpClient, "127.0.0.1", String(udp), "hi")).toBe("hi");
    expect(await python(host, tcpClient, internet.hostAddress, String(tcp))).toMatch(/^hello /);
    expect(await python(host, tcpClient, "127.0.0.1", String(bound))).toMatch(/^hello 10\./);
    expect(await must("nft", "list", "map", "inet", net.name, "ports4")).toContain(
      `sctp . ${tcp} `,
    );

    await net.network.tearDown("a");
    expect(await remote(tcpClient, internet.hostAddress, String(tcp))).toBe(
      "ConnectionRefusedError",
    );
  });

  it("does not let other machines reach a sandbox past its ports", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork();
    const setup = await net.open("a");
    await serve(setup, tcpGreeter, "0.0.0.0", "80");
    const { ip = "" } = setup.status ?? {};
    await must(...internet.on("ip", "route", "add", `${ip}/32`, "via", internet.hostAddress));
    const answer = await must(...internet.on("python3", "-c", tcpClient, ip, "80", inVain));
    expect(answer.trim()).toBe("TimeoutError");
  });

  it("refuses host ports that somebody has, before anything is made", async () => {
    await using net = await testNetwork();
    const tcpPort = await freePort();
    const mapped = (hostPort: number, protocol: "tcp" | "udp" = "tcp", hostIp = "") =>
      podConfig({ portMappings: [{ protocol, containerPort: 80, hostPort, hostIp }] });
    await net.open("a", mapped(tcpPort));
    const before = await leftovers(net.name, net.directory);

    const taken = { code: "STATE_CONFLICT", details: { field: "portMappings" } };
    await expect(net.open("b", mapped(tcpPort, "tcp", "127.0.0.1"))).rejects.toMatchObject(taken);
    const udp = createSocket("udp4").bind(0, "127.0.0.1");
    const tcp = createServer().listen(0, "127.0.0.1");
    await Promise.all([once(udp, "listening"), once(tcp, "listening")]);
    try {
      await expect(net.open("c", mapped(udp.address().port, "udp"))).rejects.toMatchObject(taken);
      const { port } = tcp.address() as AddressInfo;
      await expect(net.open("d", mapped(port))).rejects.toMatchObject(taken);
    } finally {
      udp.close();
      tcp.close();
    }
    await expect(net.open("e", mapped(tcpPort + 1, "tcp", "9.9.9.9"))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(net.open("f", mapped(tcpPort + 1, "tcp", "::1"))).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
    expect(await leftovers(net.name, net.directory)).toStrictEqual(before);
    // Given back, it can be had again.
    await net.network.tearDown("a");
    await net.open("b", mapped(tcpPort, "tcp", "127.0.0.1"));
  });

  it.each([
    ["a port of 0", { containerPort: 0, hostPort: 1 }],
    ["a host port that is none", { containerPort: 1, hostPort: 70_000 }],
    ["an address that is none", { containerPort: 1, hostPort: 1, hostIp: "localhost" }],
    ["an injection", { containerPort: 1, hostPort: 1, hostIp: "1.2.3.4 } ; flush ruleset" }],
  ])("refuses %s in a port mapping", async (_, mapping) => {
    await using net = await testNetwork();
    await expect(net.open("a", podConfig({ portMappings: [mapping] }))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it.each(["../a", "", ".", "a b", "a/b", "a\nlink del eth0", "-x"])(
    "refuses the sandbox id %j",
    async (sandboxId) => {
      await using net = await testNetwork();
      const setUp = net.network.setUp({ sandboxId, config: podConfig() });
      await expect(setUp).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    },
  );

  it("refuses a second network for a sandbox, and tears down what is not there", async () => {
    await using net = await testNetwork();
    await net.open("a");
    const again = net.network.setUp({ sandboxId: "a", config: podConfig() });
    await expect(again).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    await net.network.tearDown("a");
    await net.network.tearDown("a");
    await net.network.tearDown("never-seen");
  });

  it("leaves nothing of a set-up that is aborted", async () => {
    await using net = await testNetwork();
    await net.open("first");
    const before = await leftovers(net.name, net.directory);
    const aborted = AbortSignal.abort(new Error("enough"));
    const config = podConfig();
    await expect(
      net.network.setUp({ sandboxId: "a", config }, { signal: aborted }),
    ).rejects.toThrow("enough");
    const controller = new AbortController();
    const underWay = net.network.setUp({ sandboxId: "b", config }, { signal: controller.signal });
    setImmediate(() => controller.abort(new Error("too late")));
    await expect(underWay).rejects.toThrow("too late");
    expect(await leftovers(net.name, net.directory)).toStrictEqual(before);
    await net.open("b");
  });

  it("puts its rules right when somebody has removed them", async () => {
    await using internet = await openInternet();
    await using net = await testNetwork();
    await internet.start(["python3", "-c", tcpGreeter, internet.address, "80"]);
    const a = await net.open("a");
    await must("nft", "delete", "table", "inet", net.name);
    await must("nft", "delete", "table", "bridge", net.name);
    await net.open("b");
    expect(await python(a, tcpClient, internet.address, "80")).toBe(
      `hello ${internet.hostAddress}`,
    );
    expect(await must("nft", "list", "set", "bridge", net.name, "sources4")).toContain(
      a.status?.ip,
    );
  });

  const many = process.env["LONGSHORE_TEST_SCALE"] === "full" ? 200 : 50;
  it(`sets ${many} sandboxes up at the same time`, async () => {
    await using net = await testNetwork();
    const ids = Array.from({ length: many }, (_, index) => `many-${index}`);
    const setups = await Promise.all(ids.map((sandboxId) => net.open(sandboxId)));
    expect(new Set(setups.map(({ status }) => status?.ip)).size).toBe(many);
    const [first, last] = [setups[0], setups.at(-1)];
    for (const setup of [first, last]) {
      const route = await run(within(setup ?? {}, "ip", "route", "get", "1.1.1.1"));
      expect(route.stdout).toContain(setup?.status?.ip);
    }
  }, 240_000);

  it("hands a directory to one program at a time", async () => {
    await using net = await testNetwork();
    await net.open("a");
    await using second = bridgeNetwork({ ...net.options, name: `${net.name}x` });
    const other = second.setUp({ sandboxId: "b", config: podConfig() });
    await expect(other).rejects.toMatchObject({ code: "STATE_CONFLICT" });
  });

  it("takes no bridge that is somebody else's", async () => {
    await using net = await testNetwork();
    await must("ip", "link", "add", net.name, "type", "bridge");
    try {
      const condition = await net.network.condition();
      expect(condition).toMatchObject({
        isReady: false,
        reason: expect.stringContaining(net.name),
      });
      await expect(net.open("a")).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    } finally {
      await must("ip", "link", "del", net.name);
    }
  });

  it("shares the host with another network, and forwards until the last is gone", async () => {
    await using one = await testNetwork();
    const a = await one.open("a");
    {
      await using other = await testNetwork();
      const b = await other.open("b");
      expect(a.status?.ip.split(".")[1]).not.toBe(b.status?.ip.split(".")[1]);
    }
    expect(await readFile("/proc/sys/net/ipv4/ip_forward", "utf8")).toBe("1\n");
  });

  it("is not disturbed by rules that a network of the same addresses has left", async () => {
    await using left = await testNetwork();
    const before = await left.open("a");
    await must("ip", "link", "delete", left.name);
    await using net = await testNetwork({ allow: ["sandboxes"] });
    const a = await net.open("a");
    const b = await net.open("b");
    expect(a.status?.ip).toBe(before.status?.ip);
    expect(await must("nft", "list", "tables")).toContain(left.name);
    await serve(b, tcpGreeter, "0.0.0.0", "80");
    expect(await python(a, tcpClient, b.status?.ip ?? "", "80")).toBe(`hello ${a.status?.ip}`);
  });

  it("keeps interfaces apart between which the host did not forward before", async () => {
    const program = fileURLToPath(new URL("forwarding-process.ts", import.meta.url));
    const mounts = "mount -t sysfs none /sys && mount -t tmpfs none /run && ip link set lo up";
    // A new namespace begins with the host's setting of the moment.
    const off = "echo 0 > /proc/sys/net/ipv4/ip_forward";
    const alone = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c"];
    const node = [process.execPath, "--conditions=@longshore/source", program];
    const facts = await must(...alone, `${mounts} && ${off} && exec "$@"`, "sh", ...node);
    expect(JSON.parse(facts)).toStrictEqual({
      before: "0\n",
      during: "1\n",
      between: "TimeoutError",
      fromSandbox: true,
      after: "0\n",
      links: ["lo"],
      rules: "",
      state: [],
    });
  });
});
