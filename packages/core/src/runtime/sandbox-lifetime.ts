/** Ends a sandbox that is too old, or that nobody uses. Timers do not keep the program running. */
export interface SandboxLifetime {
  /** Says that the sandbox is in use until the promise settles. */
  use(until: Promise<unknown>): void;
  /** No time-out comes any more. */
  stop(): void;
}

export interface LifetimeLimits {
  /** From now on */
  readonly remainingMs?: number | undefined;
  readonly idleTimeoutMs?: number | undefined;
}

/** @param end called at most once */
export function sandboxLifetime(
  { remainingMs, idleTimeoutMs }: LifetimeLimits,
  end: () => void,
): SandboxLifetime {
  let users = 0;
  let isOver = false;
  let idle: NodeJS.Timeout | undefined;
  const stop = (): void => {
    isOver = true;
    clearTimeout(age);
    clearTimeout(idle);
  };
  const over = (): void => {
    stop();
    end();
  };
  const wait = (): void => {
    if (idleTimeoutMs !== undefined && users === 0 && !isOver) {
      idle = setTimeout(over, idleTimeoutMs).unref();
    }
  };
  const age = remainingMs === undefined ? undefined : setTimeout(over, remainingMs).unref();
  wait();
  return {
    stop,
    use(until) {
      users += 1;
      clearTimeout(idle);
      const left = (): void => {
        users -= 1;
        wait();
      };
      until.then(left, left);
    },
  };
}
