import type { RuntimeAbility, RuntimeHarness } from "@longshore/testkit";
import { runtimeAbilities } from "@longshore/testkit";
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

const has: ReadonlySet<RuntimeAbility> = new Set([]);

/** It isolates nothing. */
export const processRuntimeLacks: Readonly<Partial<Record<RuntimeAbility, string>>> =
  Object.fromEntries(
    (Object.keys(runtimeAbilities) as RuntimeAbility[])
      .filter((ability) => !has.has(ability))
      .map((ability) => [ability, "processes of the host have no such thing"]),
  );

export const processRuntimeSkip: Readonly<Record<string, string>> = {};
