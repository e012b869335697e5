import { describeRuntimeConformance } from "@longshore/testkit";
import { describeReal } from "./fixtures/describe-real.ts";
import { realHarness } from "./fixtures/real-harness.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";

/** What crun 1.8 cannot do, or not say that it can. */
const lacksOfCrun = {
  "gives a terminal its first size, and later ones":
    "crun starts an executed command before its terminal has a size",
  "keeps all below a mount from being written when asked":
    "crun has no command `features` before 1.8.6, and what it may not know is refused",
};

for (const binary of isFull ? (["runc", "crun"] as const) : (["runc"] as const)) {
  describeReal(
    `real containers by ${binary}`,
    (place) => {
      describeRuntimeConformance(`the engine over ${binary}, a bridge and a Nydus store`, {
        create: () => realHarness(place(), { binary }),
        patience: Number(process.env["LONGSHORE_TEST_PATIENCE"] ?? "1"),
        // Looking after every case takes as long as the cases; otherwise there is one look at the end.
        ...(isFull && { leaks: () => place().leaks() }),
        ...(binary === "crun" && { skip: lacksOfCrun }),
      });
    },
    { binary },
  );
}
