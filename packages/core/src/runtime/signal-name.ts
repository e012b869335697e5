type RealTimeSignal = `SIGRTMIN+${number}` | `SIGRTMAX-${number}` | "SIGRTMIN" | "SIGRTMAX";

/**
 * A Linux signal by its name, `"SIGTERM"` or `"SIGRTMIN+3"`. The CRI numbers signals in its own way, so names are what
 * travels and what must be mapped.
 */
export type SignalName =
  | Exclude<NodeJS.Signals, "SIGBREAK" | "SIGINFO" | "SIGLOST" | "SIGUNUSED">
  | RealTimeSignal
  | "SIGCLD";
