// A process has one end, and warns of more than ten listeners for it; so this one list is for all mounts.
const actions = new Set<() => void>();

function runAll(): void {
  for (const action of actions) action();
}

/** Runs something when the process exits in an orderly way; nothing asynchronous can. Returns how to take it back. */
export function atExit(action: () => void): () => void {
  if (actions.size === 0) process.on("exit", runAll);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0) process.off("exit", runAll);
  };
}
