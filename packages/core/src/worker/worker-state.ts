/**
 * Where a worker is in its life: `starting → ready ⇄ busy → draining → stopping → stopped`, or `error` when the start
 * failed. `busy` means that every slot is taken.
 */
export type WorkerState =
  | "starting"
  | "ready"
  | "busy"
  | "draining"
  | "stopping"
  | "stopped"
  | "error";
