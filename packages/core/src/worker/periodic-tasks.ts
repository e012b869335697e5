import type { Logger } from "../telemetry/logger.ts";

/** Things a worker does now and then; a failure is logged, and the next time tries again. */
export interface PeriodicTasks extends Disposable {
  every(periodMs: number, task: () => Promise<unknown>, failure: string): void;
}

export function createPeriodicTasks(logger: Logger): PeriodicTasks {
  const timers: NodeJS.Timeout[] = [];
  return {
    every(periodMs, task, failure) {
      const timer = setInterval(() => {
        task().catch((error: unknown) => {
          logger.error({ err: error }, failure);
        });
      }, periodMs);
      // What a worker does now and then is no reason for its process to live on.
      timers.push(timer.unref());
    },
    [Symbol.dispose]() {
      for (const timer of timers.splice(0)) clearInterval(timer);
    },
  };
}
