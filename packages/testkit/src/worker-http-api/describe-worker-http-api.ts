import { afterAll, beforeAll, describe } from "vitest";
import { suite, type SkippedCases } from "../suite-cases.ts";
import type { ApiFixture, DeclareApiCase, WorkerHttpApiOperations } from "./api-case.ts";
import { apiClient, type WorkerHttpApiTarget } from "./api-client.ts";
import { declareEndings } from "./ending-cases.ts";
import { declareErrors } from "./error-cases.ts";
import { declareFiles } from "./file-cases.ts";
import { declareJobs } from "./job-cases.ts";
import { declareLists } from "./list-cases.ts";
import { declareRetention } from "./retention-cases.ts";
import { declareStops } from "./stop-cases.ts";
import { declareStreams } from "./stream-cases.ts";
import { declareSubmits } from "./submit-cases.ts";
import { declareWorker } from "./worker-cases.ts";

export interface WorkerHttpApiSuiteOptions {
  /** A worker that is served, with a new store or one of which the suite may use ids that are not taken */
  open(): Promise<WorkerHttpApiTarget & Partial<AsyncDisposable>>;
  readonly operations: WorkerHttpApiOperations;
  /** Makes the worker forget a job, as at the end of its retention; what is answered then is not tested without it */
  forget?(jobId: string): Promise<void>;
  /** Whether the suite may end the worker with its last cases, by `/drain` and `/shutdown`. @default false */
  readonly mayStop?: boolean | undefined;
  readonly skip?: SkippedCases | undefined;
}

/**
 * The Worker HTTP API, as tests against any base URL: also that of a worker in another language. Each case makes jobs of
 * its own, so they may run against a worker that has others.
 */
export function describeWorkerHttpApi(name: string, options: WorkerHttpApiSuiteOptions): void {
  describe(`Worker HTTP API: ${name}`, () => {
    let target: Awaited<ReturnType<WorkerHttpApiSuiteOptions["open"]>> | undefined;
    let fixture: ApiFixture | undefined;
    const run = Math.random().toString(36).slice(2, 8);
    let ids = 0;

    beforeAll(async () => {
      target = await options.open();
      const api = apiClient(target);
      const newId = (): string => {
        ids += 1;
        return `suite-${run}-${ids}`;
      };
      fixture = {
        api,
        operations: options.operations,
        newId,
        async submit(operation, more = {}) {
          const jobId = newId();
          const { status, text } = await api.call("POST", "/jobs", {
            body: { version: "1.0", job_id: jobId, operation, ...more },
          });
          if (status !== 202) throw new Error(`submit answered ${status}: ${text}`);
          return jobId;
        },
      };
    });
    afterAll(async () => {
      await target?.[Symbol.asyncDispose]?.();
    });

    suite("routes", options.skip ?? {}, (test) => {
      const check: DeclareApiCase = (title, runCase, skipReason) => {
        const runIt = async (): Promise<void> => {
          if (fixture === undefined) throw new Error("the worker was not opened");
          await runCase(fixture);
        };
        test(title, runIt, { skipReason });
      };
      declareWorker(check);
      declareSubmits(check);
      declareJobs(check);
      declareLists(check);
      declareStreams(check);
      declareEndings(check);
      declareFiles(check);
      declareErrors(check);
      declareRetention(check, options.forget);
      declareStops(check, options.mayStop ?? false);
    });
  });
}
