import { allowAllPolicy, defineHandler, startWorker } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { z } from "zod";

const greet = defineHandler({
  name: "greet",
  operations: ["demo.greet"],
  payload: z.object({ name: z.string().min(1) }),
  execute(context, { name }) {
    context.progress({ phase: "greeting", percent: 50, message: `thinking of ${name}` });
    return { greeting: `Hello, ${name}!` };
  },
});

await using store = sqliteJobStore({ path: process.env["JOBS_DB"] ?? ":memory:" });
await using worker = await startWorker({ store, handlers: [greet], policy: allowAllPolicy() });
const job = await worker.submit({ operation: "demo.greet", data: { name: "Ada" } });
const result = await job.result({ signal: AbortSignal.timeout(10_000) });
console.log(result.status, result.data);
