import { expect, it } from "vitest";
import { loopbackNetwork } from "../../src/index.ts";
import { podConfig, withNetwork } from "./network-fixture.ts";

it("gives loopback only, needs nothing for it, and finds it again", async () => {
  await using network = loopbackNetwork();
  const spec = { sandboxId: "a", config: withNetwork("none") };
  expect(await network.condition()).toStrictEqual({ isReady: true, reason: "" });
  expect(await network.setUp(spec)).toStrictEqual({});
  expect(await network.recover([spec])).toStrictEqual(new Map([["a", {}]]));
  await network.tearDown("a");
  await network.tearDown("unknown");
});

it.each([
  ["the pod's network", podConfig()],
  ["the host's network", withNetwork("node")],
  ["ports", { ...withNetwork("none"), portMappings: [{ containerPort: 80, hostPort: 8080 }] }],
  ["egress", { ...withNetwork("none"), egress: { allow: ["*"] } }],
])("refuses %s", async (_, config) => {
  await using network = loopbackNetwork();
  await expect(network.setUp({ sandboxId: "a", config })).rejects.toMatchObject({
    code: "RUNTIME_NOT_SUPPORTED",
  });
});

it("rejects with the abort reason", async () => {
  await using network = loopbackNetwork();
  const signal = AbortSignal.abort(new Error("enough"));
  const spec = { sandboxId: "a", config: withNetwork("none") };
  await expect(network.setUp(spec, { signal })).rejects.toThrow("enough");
  await expect(network.recover([spec], { signal })).rejects.toThrow("enough");
});
