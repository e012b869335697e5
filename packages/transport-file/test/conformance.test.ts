import { mkdtemp, readdir, readFile, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJobResult } from "@longshore/core";
import { describeJobTransportConformance } from "@longshore/testkit";
import { fileTransport, requestCancel, submitJobFile } from "../src/index.ts";

for (const usePolling of [false, true]) {
  describeJobTransportConformance(usePolling ? "file, polling" : "file", {
    create: async () => {
      const directory = await mkdtemp(join(tmpdir(), "longshore-file-"));
      const jobsDir = join(directory, "jobs");
      const resultsDir = join(directory, "results");
      return {
        open: (leaseMs) =>
          fileTransport({ jobsDir, resultsDir, leaseMs, usePolling, pollIntervalMs: 20 }),
        async send(document) {
          await submitJobFile({ jobsDir, document });
        },
        cancel: (jobId) => requestCancel({ jobsDir, jobId }),
        async resultOf(jobId) {
          const path = join(resultsDir, `${jobId}-result.json`);
          const text = await readFile(path, "utf8").catch(() => undefined);
          return text === undefined ? undefined : decodeJobResult(JSON.parse(text));
        },
        async die(_transport, workerId) {
          const claims = join(jobsDir, ".claimed", workerId);
          await rm(join(claims, ".owner"));
          for (const name of await readdir(claims)) await utimes(join(claims, name), 1, 1);
        },
        async [Symbol.asyncDispose]() {
          await rm(directory, { recursive: true, force: true });
        },
      };
    },
  });
}
