import { describeHandlerConformance } from "@longshore/testkit";
import { echoHandler } from "../../src/index.ts";

describeHandlerConformance("echo", { handler: echoHandler, validPayload: { a: [1, "b"] } });
