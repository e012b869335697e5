import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bridgeNetwork } from "../../src/index.ts";
import { must } from "./network-fixture.ts";

it("says what is missing without root, and still gives the host's own network", async () => {
  const directory = await mkdtemp(join(tmpdir(), "longshore-unprivileged-"));
  try {
    const program = fileURLToPath(new URL("unprivileged-process.ts", import.meta.url));
    // A user namespace without a map: not root, but still able to read a checkout that is root's.
    const asNobody = process.getuid?.() === 0 ? ["unshare", "--user"] : [];
    const node = [process.execPath, "--conditions=@longshore/source", program, directory];
    expect(JSON.parse(await must(...asNobody, ...node))).toStrictEqual({
      condition: { isReady: false, reason: "Networks of sandboxes need root." },
      pod: "RUNTIME_NOT_SUPPORTED",
      none: "RUNTIME_NOT_SUPPORTED",
      node: {},
      recovered: ["c"],
      tornDown: true,
    });
    expect(await readdir(directory)).toStrictEqual([]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

it.each([
  [{ name: "a-b" }, "name"],
  [{ name: "x".repeat(16) }, "name"],
  [{ name: "a; flush ruleset" }, "name"],
  [{ subnet: "10.0.0.1/8" }, "bits set"],
  [{ subnet: "10.0.0.0/31" }, "prefix"],
  [{ subnet: "fd00::/64" }, "IPv4"],
  [{ subnet6: "10.0.0.0/8" }, "IPv6"],
  [{ subnet6: "yes" }, "subnet"],
  [{ mtu: 100 }, "mtu"],
])("refuses the options %j", (options, what) => {
  expect(() => bridgeNetwork({ directory: "/nowhere", ...options })).toThrow(what);
});
