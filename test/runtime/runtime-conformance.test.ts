import { describeRuntimeConformance } from "@longshore/testkit";
import { describeReal } from "./fixtures/describe-real.ts";
import { realHarness } from "./fixtures/real-harness.ts";

describeReal("real containers", (place) => {
  describeRuntimeConformance("the engine over runc, a bridge and a Nydus store", {
    create: () => realHarness(place()),
    patience: Number(process.env["LONGSHORE_TEST_PATIENCE"] ?? "1"),
    // Looking after every case takes as long as the cases; otherwise there is one look at the end.
    ...(process.env["LONGSHORE_TEST_SCALE"] === "full" && { leaks: () => place().leaks() }),
  });
});
