import { describeJobTransportConformance } from "@longshore/testkit";
import {
  encodeJobDocument,
  memoryQueue,
  memoryTransport,
  type JobResult,
} from "../../src/index.ts";

describeJobTransportConformance("memory", {
  create: () => {
    const queue = memoryQueue();
    const results = new Map<string, JobResult>();
    return {
      open: (leaseMs) => memoryTransport({ queue, leaseMs }),
      async send(document) {
        void queue.send(encodeJobDocument(document)).ended.then((end) => {
          if (end.kind === "answered") results.set(document.jobId, end.result);
        });
      },
      cancel: async (jobId) => {
        queue.cancel(jobId);
      },
      resultOf: async (jobId) => results.get(jobId),
      die: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});
