/** A worker's process that a test kills: runs the job in its second argument, and prints when the job has written. */
import {
  createJobDocument,
  jobEventEmitter,
  runHandler,
  silentLogger,
  type JobRuntime,
} from "@longshore/core";
import { processHandler } from "../src/index.ts";

const [, , root = "", runtime = "{}"] = process.argv;
const document = createJobDocument({
  operation: "process.run",
  runtime: { ...(JSON.parse(runtime) as Partial<JobRuntime>), mode: "process" },
});
await runHandler({
  handler: processHandler(),
  document,
  attempt: 1,
  workerId: "doomed",
  signal: new AbortController().signal,
  logger: silentLogger,
  workRoot: `${root}/doomed`,
  artifactsRoot: `${root}/artifacts`,
  checkpoint: undefined,
  events: jobEventEmitter({
    jobId: document.jobId,
    workerId: "doomed",
    firstSequence: 0,
    attempt: 1,
    emit: () => process.stdout.write("ready\n"),
  }),
  saveCheckpoint: () => Promise.resolve(),
});
