import { describeIsolatedJobs } from "../../packages/handler-container/test/isolated-jobs.ts";
import { describeReal } from "./fixtures/describe-real.ts";
import { openRealJobs } from "./fixtures/real-jobs.ts";

describeReal("real containers", (place) => {
  describeIsolatedJobs("the engine over runc and a Nydus store", () => openRealJobs(place()));
});
