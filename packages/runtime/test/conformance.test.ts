import {
  describeRuntimeConformance,
  runtimeAbilities,
  type RuntimeAbility,
} from "@longshore/testkit";
import { tempEngine } from "./fixtures/temp-engine.ts";

const has: ReadonlySet<RuntimeAbility> = new Set([
  "id prefixes",
  "logs",
  "log rotation",
  "attach",
  "port forwarding",
  "limits in status",
  "metrics",
  "events",
  "runtime config",
  "several containers",
  "stdin",
]);
const lacks = Object.fromEntries(
  Object.keys(runtimeAbilities)
    .filter((ability) => !has.has(ability as RuntimeAbility))
    .map((ability) => [ability, "the driver of these tests isolates nothing"]),
);

describeRuntimeConformance("the engine over host processes", {
  async create() {
    const engine = await tempEngine();
    return {
      runtime: engine.runtime,
      images: { base: "base" },
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  },
  lacks,
  // What the engine does by itself; all of it runs against real containers in test/runtime.
  parts: ["runtime info", "sandbox", "container", "container identity", "log", "event"],
});
