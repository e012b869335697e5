/** How far a push has come. */
export interface PushProgress {
  /** `"pack"`: files are read and compressed; `"upload"`: what came of it is sent */
  readonly phase: "pack" | "upload" | "done";
  /** Bytes of this phase that are done; while uploading, what the target had already counts */
  readonly doneBytes: number;
  /** Bytes of this phase in all */
  readonly totalBytes: number;
}

/** Between two reports of bytes */
const intervalMs = 100;

/** Keeps count of a push and reports it: every step at once, bytes ten times a second. */
export interface PushProgressReport {
  /** @param totalBytes of the phase */
  step(phase: "pack" | "upload", totalBytes: number): void;
  done(): void;
  /** More bytes of the phase are done; fewer, when some are sent again. */
  add(bytes: number): void;
}

export function pushProgress(report: (progress: PushProgress) => void): PushProgressReport {
  let phase: PushProgress["phase"] = "pack";
  let doneBytes = 0;
  let totalBytes = 0;
  let reportedAtMs = -Infinity;

  function send(): void {
    reportedAtMs = performance.now();
    report({ phase, doneBytes, totalBytes });
  }

  return {
    step(next, total) {
      phase = next;
      totalBytes = total;
      doneBytes = 0;
      send();
    },
    done() {
      phase = "done";
      doneBytes = totalBytes;
      send();
    },
    add(bytes) {
      doneBytes += bytes;
      if (performance.now() - reportedAtMs >= intervalMs) send();
    },
  };
}
