import { bridgeNetwork } from "../../src/index.ts";
import { podConfig, withNetwork } from "./network-fixture.ts";

/** Tries everything without root and prints what came of it. Argument: directory. */
const [directory = ""] = process.argv.slice(2);
const network = bridgeNetwork({ directory, name: "ltuser" });
const codeOf = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : String(error);
  }
};
const answers = {
  condition: await network.condition(),
  pod: await codeOf(network.setUp({ sandboxId: "a", config: podConfig() })),
  none: await codeOf(network.setUp({ sandboxId: "b", config: withNetwork("none") })),
  node: await codeOf(network.setUp({ sandboxId: "c", config: withNetwork("node") })),
  recovered: [...(await network.recover([{ sandboxId: "c", config: withNetwork("node") }])).keys()],
  tornDown: (await codeOf(network.tearDown("a"))) === undefined,
};
await network[Symbol.asyncDispose]();
process.stdout.write(`${JSON.stringify(answers)}\n`);
