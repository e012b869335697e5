import { createLogUpdate } from "log-update";
import pc from "picocolors";
import { formatBytes } from "../../format-bytes.ts";
import { progressBar, type Terminal } from "../../terminal.ts";

/** How far a step of a command has come. */
interface ByteProgress {
  readonly step: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** Shows one step after the other. Disposing takes the bar away. */
export interface ByteProgressDisplay extends Disposable {
  show(progress: ByteProgress): void;
}

/**
 * One bar on a terminal; elsewhere a line for each step. All of it goes to standard error.
 *
 * @param isQuiet shows nothing at all
 */
export function byteProgressDisplay(terminal: Terminal, isQuiet: boolean): ByteProgressDisplay {
  if (isQuiet) return { show: () => {}, [Symbol.dispose]: () => {} };
  if (!terminal.isLive) {
    let lastStep: string | undefined;
    return {
      show({ step, totalBytes }) {
        if (step !== lastStep) terminal.note(`${step} ${formatBytes(totalBytes)}`);
        lastStep = step;
      },
      [Symbol.dispose]: () => {},
    };
  }
  const live = createLogUpdate(process.stderr);
  return {
    show({ step, doneBytes, totalBytes }) {
      const percent = totalBytes === 0 ? 100 : (doneBytes / totalBytes) * 100;
      const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      live(`${pc.bold(step)}  ${progressBar(percent)}  ${amount}`);
    },
    [Symbol.dispose]() {
      live.clear();
      // Shows the cursor again.
      live.done();
    },
  };
}
