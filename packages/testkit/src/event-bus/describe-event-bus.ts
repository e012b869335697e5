import { suite, type SkippedCases } from "../suite-cases.ts";
import type { CreateBus } from "./bus-fixture.ts";
import { deliveryCases } from "./delivery-cases.ts";
import { overflowCases } from "./overflow-cases.ts";
import { topicCases } from "./topic-cases.ts";

export interface EventBusSuiteOptions {
  /** Makes a new bus that passes what listeners throw on to the hook; each case disposes its own */
  readonly create: CreateBus;
  readonly skip?: SkippedCases | undefined;
}

/** The contract of `EventBus`, as tests. Call it in a test file. */
export function describeEventBusConformance(name: string, options: EventBusSuiteOptions): void {
  const { create, skip = {} } = options;
  suite(`EventBus: ${name}`, skip, (test) => {
    topicCases(test, create);
    deliveryCases(test, create);
    overflowCases(test, create);
  });
}
