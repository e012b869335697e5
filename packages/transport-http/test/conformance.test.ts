import { describeWorkerHttpApi } from "@longshore/testkit";
import { serveWorker, type ServedWorker } from "./fixtures/served-worker.ts";

let served: ServedWorker | undefined;

describeWorkerHttpApi("transport-http over SQLite", {
  async open() {
    served = await serveWorker({ admin: true });
    return served;
  },
  operations: {
    echo: "system.echo",
    endless: "test.endless",
    failing: "test.failing",
    artifact: "test.artifact",
  },
  async forget() {
    await served?.store.prune({ finishedBeforeMs: Date.now() + 1_000 });
  },
  mayStop: true,
});
