import {
  isLongshoreError,
  type Abortable,
  type ContainerEvent,
  type RuntimeClient,
} from "@longshore/core";

/** Calls that do the same when they are made twice. */
const repeatable: ReadonlySet<string> = new Set([
  "version",
  "status",
  "stopPodSandbox",
  "removePodSandbox",
  "podSandboxStatus",
  "listPodSandbox",
  "stopContainer",
  "removeContainer",
  "containerStatus",
  "listContainers",
]);

/**
 * A runtime that is opened again when it is gone: a call that finds it so rejects with `RUNTIME_UNAVAILABLE`, or is made
 * once more when that changes nothing. Disposing ends the one that is open.
 *
 * @param open asked at once, and after each loss
 */
export async function replaceableRuntime(
  open: () => Promise<RuntimeClient>,
): Promise<RuntimeClient> {
  const first = await open();
  let current = Promise.resolve(first);
  let isClosed = false;

  /** The one after a lost one, which several calls may have found gone; `undefined` when it is not gone at all. */
  const replace = async (lost: RuntimeClient): Promise<RuntimeClient | undefined> => {
    const seen = current;
    if ((await seen.catch(() => undefined)) !== lost) return current;
    const isThere = await lost.version().then(
      () => true,
      () => false,
    );
    if (isThere || isClosed) return undefined;
    if (seen === current) {
      const next = reopen(lost);
      current = next;
      // One that cannot be opened now is tried again by the next call.
      next.catch(() => (current = seen));
    }
    return current;
  };

  const reopen = async (lost: RuntimeClient): Promise<RuntimeClient> => {
    await lost[Symbol.asyncDispose]();
    return open();
  };

  const call = async (name: string, args: readonly unknown[]): Promise<unknown> => {
    const runtime = await current;
    const invoke = (on: RuntimeClient): unknown =>
      Reflect.apply(Reflect.get(on, name) as (...all: readonly unknown[]) => unknown, on, args);
    try {
      return await invoke(runtime);
    } catch (error) {
      if (!isLongshoreError(error, "RUNTIME_UNAVAILABLE")) throw error;
      const next = await replace(runtime);
      if (next === undefined || !repeatable.has(name)) throw error;
      return invoke(next);
    }
  };

  async function* events(options?: Abortable): AsyncGenerator<ContainerEvent> {
    const runtime = await current;
    if (runtime.getContainerEvents !== undefined) yield* runtime.getContainerEvents(options);
  }

  const methods = Object.keys(first)
    .filter((name) => name !== "files")
    .map((name) => [
      name,
      name === "getContainerEvents"
        ? events
        : (...args: readonly unknown[]): unknown => call(name, args),
    ]);
  return {
    // The names are those of the contract.
    ...(Object.fromEntries(methods) as Omit<RuntimeClient, typeof Symbol.asyncDispose>),
    async [Symbol.asyncDispose]() {
      isClosed = true;
      const last = await current.catch(() => undefined);
      await last?.[Symbol.asyncDispose]();
    },
  };
}
