import { decodeJobResult, encodeJobDocument } from "@longshore/core";
import { describeJobTransportConformance } from "@longshore/testkit";
import { serveMaster } from "./fixtures/served-master.ts";

describeJobTransportConformance("HTTP polling", {
  maxInHand: 64,
  create: async () => {
    const master = await serveMaster();
    return {
      open: (leaseMs) => master.open({ leaseMs }),
      async send(document) {
        const { execution } = document;
        // A master ends a job whose last attempt is lost; these are to be tried again.
        await master.client.submitDocument(
          encodeJobDocument({ ...document, execution: { ...execution, maxAttempts: 10 } }),
        );
      },
      async cancel(jobId) {
        await master.client.cancel(jobId);
      },
      async resultOf(jobId) {
        const response = await fetch(`${master.url}/jobs/${jobId}/result`);
        return response.ok ? decodeJobResult(await response.json()) : undefined;
      },
      // Its lease is short, and nobody extends it any more.
      die: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => master[Symbol.asyncDispose](),
    };
  },
});
