import { bridgeNetwork } from "../../src/index.ts";
import { podConfig, withNetwork } from "./network-fixture.ts";

/** Sets sandboxes up and then does nothing more, to be killed. Arguments: directory, name, host port, how many. */
const [directory = "", name = "", hostPort = "", count = "0"] = process.argv.slice(2);
const network = bridgeNetwork({ directory, name });
await network.setUp({
  sandboxId: "kept",
  config: podConfig({ portMappings: [{ containerPort: 80, hostPort: Number(hostPort) }] }),
});
await network.setUp({ sandboxId: "egress", config: podConfig({ egress: { allow: ["*"] } }) });
await network.setUp({ sandboxId: "none", config: withNetwork("none") });
await network.setUp({ sandboxId: "broken", config: podConfig() });
await network.setUp({ sandboxId: "forgotten", config: podConfig() });
process.stdout.write("ready\n");
await Promise.all(
  Array.from({ length: Number(count) }, (_, index) =>
    network.setUp({ sandboxId: `half-${index}`, config: podConfig() }),
  ),
);
process.stdout.write("all\n");
await new Promise(() => setInterval(() => {}, 60_000));
