import { describeRuntimeConformance, runtimeCaseNames } from "@longshore/testkit";
import {
  processRuntimeHarness,
  processRuntimeLacks,
} from "../runtime-client/process-runtime-suite.ts";
import { faults } from "./faults.ts";

/** Cases that take seconds are tried only where they are to find something. */
const slow: ReadonlySet<string> = new Set([
  "kills a container that ignores SIGTERM after the time-out",
  "lists and tells states at once while a container is being stopped",
  "ends a command and its children when its time is over",
  "kills a command and its children when the session is closed early",
  "keeps a command waiting while nobody reads, and loses nothing",
  "passes a large output through without keeping it",
  "lets a container end by itself when it is told to stop",
]);
const quick = faults.flatMap(({ cases }) => cases).filter((name) => !slow.has(name));

function skipped(cases: readonly string[]): Readonly<Record<string, string>> {
  const tried = new Set([...quick, ...cases]);
  const others = runtimeCaseNames().filter((name) => !tried.has(name));
  return Object.fromEntries(others.map((name) => [name, "is not to find this fault"]));
}

for (const { title, cases, spoil } of faults) {
  describeRuntimeConformance(title, {
    async create() {
      const harness = await processRuntimeHarness();
      const { runtime } = harness;
      return {
        ...harness,
        runtime: { ...runtime, ...spoil(runtime) },
        [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
      };
    },
    lacks: processRuntimeLacks,
    skip: skipped(cases),
  });
}
