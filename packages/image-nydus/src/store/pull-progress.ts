import type { LayerProgress, PullProgress } from "@longshore/core";
import type { Descriptor } from "../registry/manifest.ts";

/** Between two reports of received bytes. */
const intervalMs = 100;

/** Keeps count of a pull and reports it: every step at once, received bytes ten times a second. */
export interface PullProgressReport {
  received(layer: number, bytes: number): void;
  converted(layer: number): void;
  step(phase: PullProgress["phase"]): void;
}

export function pullProgress(
  layers: readonly Pick<Descriptor, "digest" | "size">[],
  report: (progress: PullProgress) => void,
): PullProgressReport {
  const progress: LayerProgress[] = layers.map(({ digest, size }) => ({
    digest,
    receivedBytes: 0,
    totalBytes: size,
    isDone: false,
  }));
  const totalBytes = layers.reduce((sum, { size }) => sum + size, 0);
  let phase: PullProgress["phase"] = "download";
  let reportedAtMs = -Infinity;

  function send(): void {
    reportedAtMs = performance.now();
    const receivedBytes = progress.reduce((sum, layer) => sum + layer.receivedBytes, 0);
    report({ phase, receivedBytes, totalBytes, layers: [...progress] });
  }

  function change(layer: number, changed: Partial<LayerProgress>): void {
    const known = progress[layer];
    if (known !== undefined) progress[layer] = { ...known, ...changed };
  }

  return {
    received(layer, receivedBytes) {
      change(layer, { receivedBytes });
      if (performance.now() - reportedAtMs >= intervalMs) send();
    },
    converted(layer) {
      const totalOfLayer = progress[layer]?.totalBytes ?? 0;
      change(layer, { receivedBytes: totalOfLayer, isDone: true });
      send();
    },
    step(next) {
      phase = next;
      send();
    },
  };
}
