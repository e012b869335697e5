import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allowAllPolicy, defineHandler, startWorker } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { createMaster, httpPollingTransport } from "@longshore/transport-http";
import { createWorkerClient } from "@longshore/transport-http/client";

/** A master and a worker; in life they are two programs on two machines, and only the master can be reached. */
const greet = defineHandler({
  name: "greet",
  operations: ["demo.greet"],
  execute(context, { name }: { readonly name: string }) {
    context.progress({ phase: "greeting", percent: 50, message: `thinking of ${name}` });
    return { greeting: `Hello, ${name}!` };
  },
});

const directory = await mkdtemp(join(tmpdir(), "longshore-polling-"));
try {
  const policy = allowAllPolicy();
  await using store = sqliteJobStore({ path: join(directory, "master.db"), keepEvents: true });
  await using master = await createMaster({ store, policy, port: 0 });
  await using _worker = await startWorker({
    id: "behind-nat",
    policy,
    handlers: [greet],
    transports: [httpPollingTransport({ url: master.url, directory: join(directory, "answers") })],
  });

  const client = createWorkerClient(master.url);
  const { jobId } = await client.submit({ operation: "demo.greet", data: { name: "Ada" } });
  for await (const { phase, message } of client.events(jobId)) console.log(`${phase}: ${message}`);
  const { status, workerId, data } = await client.result(jobId);
  console.log(status, "on", workerId, data);
} finally {
  await rm(directory, { recursive: true, force: true });
}
