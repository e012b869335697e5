import { describeHandlerConformance } from "@longshore/testkit";
import { processHandler } from "../src/index.ts";

describeHandlerConformance("process", {
  handler: processHandler({ killGraceMs: 500 }),
  validPayload: { seconds: 0 },
  longPayload: { seconds: 60 },
  document: {
    runtime: {
      mode: "process",
      runtime: "python",
      cmd: ["main.py"],
      files: {
        "main.py": {
          content: "import json, sys, time; time.sleep(json.load(sys.stdin)['seconds'])\n",
        },
      },
      params: { delivery: "stdin", format: "json" },
    },
  },
});
