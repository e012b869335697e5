import { readdir, readFile } from "node:fs/promises";
import { openInternet } from "./internet.ts";
import { must, testNetwork } from "./network-fixture.ts";
import { inVain, tcpClient, tcpGreeter } from "./peers.ts";

/** On a host of its own: two other machines, between which the host does not forward, and then a network. */
const forwarding = (): Promise<string> => readFile("/proc/sys/net/ipv4/ip_forward", "utf8");
const facts: Record<string, unknown> = { before: await forwarding() };
{
  await using one = await openInternet();
  await using other = await openInternet();
  await other.start(["python3", "-c", tcpGreeter, other.address, "80"]);
  await must(...one.on("ip", "route", "add", `${other.address}/32`, "via", one.hostAddress));
  await must(...other.on("ip", "route", "add", `${one.address}/32`, "via", other.hostAddress));
  await using net = await testNetwork({ subnet6: "none" });
  const setup = await net.open("a");
  facts["during"] = await forwarding();
  const ask = ["python3", "-c", tcpClient, other.address, "80"];
  facts["between"] = (await must(...one.on(...ask, inVain))).trim();
  const inside = ["nsenter", `--net=${setup.namespacePath}`];
  facts["fromSandbox"] = (await must(...inside, ...ask)).trim() === `hello ${other.hostAddress}`;
}
facts["after"] = await forwarding();
facts["links"] = await readdir("/sys/class/net");
facts["rules"] = await must("nft", "list", "ruleset");
facts["state"] = await readdir("/run/longshore");
process.stdout.write(JSON.stringify(facts));
