import { describeEventBusConformance } from "@longshore/testkit";
import { memoryEventBus } from "../../src/index.ts";

describeEventBusConformance("memory", { create: (hooks) => memoryEventBus(hooks) });
