import { describeJobStoreConformance } from "@longshore/testkit";
import { memoryJobStore } from "../../src/index.ts";

describeJobStoreConformance("memory", { create: memoryJobStore });
