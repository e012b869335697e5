import type { ApiContext } from "../api-context.ts";
import type { ApiRoute } from "../api-route.ts";
import { cancelRoutes } from "./cancel.ts";
import { eventsRoute } from "./events.ts";
import { getRoute, listRoute, resultRoute } from "./jobs.ts";
import { logsRoute } from "./logs.ts";
import { retryRoute } from "./retry.ts";
import { submitBatchRoute } from "./submit-batch.ts";
import { submitRoute } from "./submit.ts";

/** What clients ask of a worker, and of a master in the same way. */
export function jobRoutes(context: ApiContext): readonly ApiRoute[] {
  return [
    submitRoute(context),
    submitBatchRoute(context),
    listRoute(context),
    getRoute(context),
    resultRoute(context),
    logsRoute(context),
    eventsRoute(context),
    ...cancelRoutes(context),
    retryRoute(context),
  ];
}
