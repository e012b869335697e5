import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  cannotMakeNetworks,
  environment,
  must,
  podConfig,
  run,
  testNetwork,
  within,
  withNetwork,
  type TestNetwork,
} from "./network-fixture.ts";
import { tcpClient, tcpGreeter } from "./peers.ts";

const program = fileURLToPath(new URL("crash-process.ts", import.meta.url));

/** Runs the other program until it has printed so many lines, then kills it. */
async function crash(net: TestNetwork, hostPort: number, count: number): Promise<void> {
  const args = ["--conditions=@longshore/source", program, net.directory, net.name];
  const child = spawn(process.execPath, [...args, String(hostPort), String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  try {
    await Promise.race([once(createInterface({ input: child.stdout }), "line"), closed]);
    expect(child.exitCode).toBeNull();
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
}

describe.skipIf(cannotMakeNetworks)("a bridge network after a crash (needs root)", () => {
  it("finds known sandboxes again and takes the others away", async () => {
    await using net = await testNetwork();
    await crash(net, 18_971, 0);
    const broken = await linkOf(net, "broken");
    await must("ip", "link", "del", broken);

    const mapped = podConfig({ portMappings: [{ containerPort: 80, hostPort: 18_971 }] });
    const found = await net.network.recover([
      { sandboxId: "kept", config: mapped },
      { sandboxId: "egress", config: podConfig({ egress: { allow: ["*"] } }) },
      { sandboxId: "none", config: withNetwork("none") },
      { sandboxId: "node", config: withNetwork("node") },
      { sandboxId: "broken", config: podConfig() },
      { sandboxId: "unknown", config: podConfig() },
    ]);
    expect([...found.keys()].toSorted()).toStrictEqual(["egress", "kept", "node", "none"]);
    expect(await readdir(join(net.directory, "leases"))).not.toContain("forgotten.json");
    expect(await readdir(join(net.directory, "netns"))).not.toContain("forgotten");

    const kept = found.get("kept") ?? {};
    const [command = "", ...args] = within(kept, "python3", "-c", tcpGreeter, "0.0.0.0", "80");
    const server = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(createInterface({ input: server.stdout }), "line");
      const answer = await must("python3", "-c", tcpClient, "127.0.0.1", "18971");
      expect(answer).toMatch(/^hello /);
    } finally {
      server.kill("SIGKILL");
      await once(server, "close");
    }
    const egress = found.get("egress") ?? {};
    const curl = within(
      egress,
      "curl",
      "-s",
      "-m5",
      "-o/dev/null",
      "-w%{http_code}",
      "http://10.0.0.1/",
    );
    expect((await run(curl, environment(egress))).stdout).toBe("403");

    // New sandboxes get addresses that nobody has.
    const fresh = await net.open("fresh");
    expect(fresh.status?.ip).not.toBe(kept.status?.ip);
    for (const id of ["kept", "egress", "none", "broken"]) await net.network.tearDown(id);
  });

  it("takes away whatever a kill in the middle has left", async () => {
    await using net = await testNetwork();
    await crash(net, 18_972, 60);
    expect((await net.network.recover([])).size).toBe(0);
    expect(await readdir(join(net.directory, "leases"))).toStrictEqual([]);
    expect(await readdir(join(net.directory, "netns"))).toStrictEqual([]);
  });

  it("touches nothing that is not its own", async () => {
    await using net = await testNetwork();
    await crash(net, 18_973, 0);
    const link = `${(await linkOf(net, "kept")).slice(0, 5)}fx`;
    const table = `${net.name}foreign`;
    const other = await testNetwork();
    try {
      const theirs = await other.open("kept");
      await must("ip", "link", "add", link, "type", "veth", "peer", "name", `${link}p`);
      await must("nft", "add", "table", "inet", table);
      await must("nft", "add", "counter", "inet", table, "seen");
      const rules = await must("nft", "list", "table", "inet", other.name);
      await net.network.recover([]);
      expect(await readdir("/sys/class/net")).toEqual(expect.arrayContaining([link, other.name]));
      expect(await must("nft", "list", "table", "inet", table)).toContain("counter seen");
      expect(await must("nft", "list", "table", "inet", other.name)).toBe(rules);
      expect(await must(...within(theirs, "ip", "-br", "addr"))).toContain(theirs.status?.ip);
    } finally {
      await run(["ip", "link", "del", link]);
      await run(["nft", "delete", "table", "inet", table]);
      await other[Symbol.asyncDispose]();
    }
  });

  it("takes sandboxes with a damaged lease for lost", async () => {
    await using net = await testNetwork();
    await crash(net, 18_974, 0);
    await writeFile(join(net.directory, "leases", "kept.json"), "{");
    await writeFile(join(net.directory, "leases", "half.json.new"), "{");
    const found = await net.network.recover([{ sandboxId: "kept", config: podConfig() }]);
    expect(found.size).toBe(0);
    expect(await readdir(join(net.directory, "leases"))).toStrictEqual([]);
  });
});

async function linkOf(net: TestNetwork, sandboxId: string): Promise<string> {
  const file = join(net.directory, "netns", sandboxId);
  const index = /eth0@if(\d+)/.exec(
    await must("nsenter", `--net=${file}`, "ip", "-o", "link"),
  )?.[1];
  return (
    /^\d+: ([^@]+)@/m.exec(
      (await must("ip", "-o", "link")).split("\n").find((line) => line.startsWith(`${index}: `)) ??
        "",
    )?.[1] ?? ""
  );
}
