import { describeWorkerHttpApi } from "@longshore/testkit";
import { serveWorker } from "./fixtures/served-worker.ts";

describeWorkerHttpApi("transport-http over SQLite", {
  open: () => serveWorker(),
  operations: {
    echo: "system.echo",
    endless: "test.endless",
    failing: "test.failing",
    artifact: "test.artifact",
  },
});
