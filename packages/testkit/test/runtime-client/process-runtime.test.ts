import { describeRuntimeConformance } from "@longshore/testkit";
import {
  processRuntimeHarness,
  processRuntimeLacks,
  processRuntimeSkip,
} from "./process-runtime-suite.ts";

describeRuntimeConformance("host processes", {
  create: processRuntimeHarness,
  lacks: processRuntimeLacks,
  skip: processRuntimeSkip,
});
