import { describeRuntimeConformance } from "@longshore/testkit";
import { describeReal } from "./fixtures/describe-real.ts";
import { realHarness } from "./fixtures/real-harness.ts";

describeReal("real containers", (place) => {
  describeRuntimeConformance("the engine over runc, a bridge and a Nydus store", {
    create: () => realHarness(place()),
    leaks: () => place().leaks(),
    lacks: { "user namespaces": "the driver makes none yet" },
  });
});
