import { runtimeAbilities, type RuntimeAbility, type RuntimeHarness } from "@longshore/testkit";
import { tempRuntime } from "../../../core/test/runtime/temp-runtime.ts";

/** The runtime of host processes, with its one image. */
export async function processRuntimeHarness(): Promise<RuntimeHarness> {
  const { runtime, images, ...rest } = await tempRuntime();
  await images.pullImage({ image: { image: "base" } });
  return {
    runtime,
    images: { base: "base" },
    imageClient: images,
    [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose](),
  };
}

const offered: ReadonlySet<string> = new Set(["attach", "several containers", "stdin"]);

/** It isolates nothing. */
export const processRuntimeLacks: Readonly<Partial<Record<RuntimeAbility, string>>> =
  Object.fromEntries(
    Object.keys(runtimeAbilities)
      .filter((ability) => !offered.has(ability))
      .map((ability) => [ability, "it isolates nothing"]),
  );

export const processRuntimeSkip: Readonly<Record<string, string>> = {
  "refuses a privileged container in a sandbox that is not": "every process is the host's",
  "refuses limits that cannot be meant, or sets none of them": "it keeps no limits",
  "refuses NUL where the kernel would cut": "it checks nothing before the start",
};
