import { admissionRules, allowAllPolicy } from "@longshore/core";
import { describeHandlerConformance } from "@longshore/testkit";
import { afterAll } from "vitest";
import { tempRuntime } from "../../core/test/runtime/temp-runtime.ts";
import { containerHandler } from "../src/index.ts";

const temp = await tempRuntime();
afterAll(() => temp[Symbol.asyncDispose]());

describeHandlerConformance("container", {
  handler: containerHandler({
    runtime: temp.runtime,
    images: temp.images,
    policy: allowAllPolicy(),
    rules: admissionRules({ allowedModes: ["image"], allowedImages: ["base"] }),
    killGraceMs: 500,
  }),
  validPayload: { seconds: 0 },
  longPayload: { seconds: 60 },
  document: {
    runtime: {
      mode: "image",
      image: "base",
      cmd: ["sh", "-c", 'read line; sleep "$(echo "$line" | tr -dc 0-9)"'],
      params: { delivery: "stdin", format: "json" },
    },
  },
});
