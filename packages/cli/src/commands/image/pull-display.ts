import type { LayerProgress, PullProgress } from "@longshore/core";
import { createLogUpdate } from "log-update";
import pc from "picocolors";
import { formatBytes } from "../../format-bytes.ts";
import { progressBar, type Terminal } from "../../terminal.ts";
import { shortId } from "./short-id.ts";

/** Shows how far the transfer of an image has come. */
export interface PullDisplay extends Disposable {
  show(progress: PullProgress): void;
}

/** Lines that are kept free below the bars. */
const reservedRows = 3;

/**
 * A bar for each layer on a terminal; elsewhere a line for each step and each layer that is there. All of it goes to standard
 * error. Disposing takes the bars away.
 *
 * @param isQuiet shows nothing at all
 */
export function pullDisplay(terminal: Terminal, isQuiet: boolean): PullDisplay {
  if (isQuiet) return { show: () => {}, [Symbol.dispose]: () => {} };
  return terminal.isLive ? liveDisplay() : lineDisplay(terminal);
}

function liveDisplay(): PullDisplay {
  const live = createLogUpdate(process.stderr);
  const startedAtMs = performance.now();
  return {
    show(progress) {
      const { phase, receivedBytes } = progress;
      const layers = progress.layers ?? [];
      const seconds = (performance.now() - startedAtMs) / 1_000;
      const rate = seconds < 0.2 ? "" : `  ${formatBytes(receivedBytes / seconds)}/s`;
      const rows = (process.stderr.rows ?? 24) - reservedRows;
      live([...visible(layers, rows).map(layerLine), `${summary(progress)}${rate}`].join("\n"));
      if (phase === "done") live.clear();
    },
    [Symbol.dispose]() {
      live.clear();
      // Shows the cursor again.
      live.done();
    },
  };
}

/** Those that move first, when there is no room for all; in their order. */
function visible(layers: readonly LayerProgress[], rows: number): readonly LayerProgress[] {
  if (layers.length <= rows) return layers;
  const moving = layers.filter(({ isDone }) => !isDone);
  return moving.slice(0, Math.max(1, rows));
}

function layerLine({ digest, receivedBytes, totalBytes, isDone }: LayerProgress): string {
  const percent = totalBytes === 0 ? 100 : (receivedBytes / totalBytes) * 100;
  const amount = isDone
    ? pc.green(formatBytes(totalBytes))
    : `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`;
  return `${pc.dim(shortId(digest))}  ${progressBar(isDone ? 100 : percent)}  ${amount}`;
}

function summary({ phase, receivedBytes, totalBytes }: PullProgress): string {
  const bytes =
    totalBytes === undefined ? "" : `  ${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`;
  return `${pc.bold(phase)}${bytes}`;
}

function lineDisplay(terminal: Terminal): PullDisplay {
  const done = new Set<number>();
  let lastPhase: PullProgress["phase"] | undefined;
  return {
    show({ phase, layers = [], totalBytes }) {
      if (phase !== lastPhase && phase !== "done") {
        const what = phase === "download" ? `: ${layers.length} layers` : "";
        const size = what !== "" && totalBytes !== undefined ? `, ${formatBytes(totalBytes)}` : "";
        terminal.note(`${phase}${what}${size}`);
      }
      lastPhase = phase;
      for (const [number, { digest, totalBytes: size, isDone }] of layers.entries()) {
        if (!isDone || done.has(number)) continue;
        done.add(number);
        terminal.note(
          `layer ${number + 1}/${layers.length} ${shortId(digest)} ${formatBytes(size)}`,
        );
      }
    },
    [Symbol.dispose]: () => {},
  };
}
