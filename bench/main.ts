import { availableParallelism, loadavg } from "node:os";
import { benchContainers } from "./containers.ts";
import { benchEchoJobs } from "./echo-jobs.ts";
import { benchEventBus } from "./event-bus.ts";
import { benchHttpSubmits } from "./http-submits.ts";
import { benchImages } from "./images.ts";
import { benchJobFiles } from "./job-files.ts";
import { benchMemoryGrowth } from "./memory-growth.ts";
import { benchJobStores } from "./job-stores.ts";
import { printTable, type Row } from "./table.ts";

/** Every benchmark, or those named on the command line. */
const benchmarks: Readonly<Record<string, readonly [string, () => Promise<readonly Row[]>]>> = {
  jobs: ["Echo jobs (ratio: against BullMQ in this run)", benchEchoJobs],
  stores: ["The life of a job in a store, without a worker", benchJobStores],
  files: ["Jobs as files", benchJobFiles],
  http: ["Submits over HTTP, 64 connections", benchHttpSubmits],
  events: ["Event bus (ratio: bare eventemitter3 emit against this)", benchEventBus],
  image: ["Images (ratio: against the peer in this run)", benchImages],
  containers: [
    "Containers by runc and crun (ratio: against the peer in this run)",
    benchContainers,
  ],
  memory: ["Memory over 100,000 jobs on the SQLite store", benchMemoryGrowth],
};

const [load = 0] = loadavg();
console.log(
  `Node ${process.version}, ${availableParallelism()} processors, load ${load.toFixed(1)} before the start`,
);
const wanted = process.argv.slice(2);
for (const [name, [title, run]] of Object.entries(benchmarks)) {
  if (wanted.length === 0 || wanted.includes(name)) printTable(title, await run());
}
