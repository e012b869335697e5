import type { JobEvent } from "@longshore/core";
import { createLogUpdate } from "log-update";
import pc from "picocolors";

/** Shows where several jobs stand: one line each on a terminal, else a line for each step. */
export interface LiveBoard extends Disposable {
  update(event: JobEvent): void;
}

const barWidth = 20;

export function openBoard(jobIds: readonly string[]): LiveBoard {
  const lines = new Map(jobIds.map((jobId) => [jobId, pc.dim("waiting")]));
  const percents = new Map<string, number>();
  const live = process.stdout.isTTY ? createLogUpdate(process.stdout) : undefined;
  const width = Math.max(...jobIds.map((jobId) => jobId.length));

  function draw(): void {
    live?.([...lines].map(([jobId, line]) => `${jobId.padEnd(width)}  ${line}`).join("\n"));
  }
  draw();
  return {
    update(event) {
      const { jobId, phase, message, progressPercent } = event;
      if (progressPercent !== undefined) percents.set(jobId, progressPercent);
      const filled = Math.round(((percents.get(jobId) ?? 0) / 100) * barWidth);
      const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
      const line = `${bar} ${phase} ${pc.dim(message)}`;
      lines.set(jobId, line);
      if (live === undefined) console.log(`${jobId.padEnd(width)}  ${line}`);
      draw();
    },
    [Symbol.dispose]() {
      live?.done();
    },
  };
}
