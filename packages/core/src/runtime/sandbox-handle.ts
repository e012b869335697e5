import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { LongshoreError } from "../errors/longshore-error.ts";
import { exposePort, type ExposedPort } from "./expose-port.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import { sandboxFileTree, type SandboxFileTree } from "./sandbox-file-tree.ts";
import { sandboxLifetime, type LifetimeLimits } from "./sandbox-lifetime.ts";
import type { SandboxProcess, SpawnOptions } from "./sandbox-process.ts";
import type { Sandbox, SandboxTimings } from "./sandbox.ts";
import { spawnProcess } from "./spawn-process.ts";

export interface HandleOptions {
  readonly id: string;
  readonly containerId: string;
  readonly name: string;
  readonly isCreated: boolean;
  readonly keep: boolean;
  readonly timings?: SandboxTimings | undefined;
  readonly limits?: LifetimeLimits | undefined;
}

const noTimings: SandboxTimings = {
  pullMs: 0,
  sandboxMs: 0,
  containerMs: 0,
  startMs: 0,
  totalMs: 0,
};

/** The facade over one running sandbox. */
export function sandboxHandle(runtime: RuntimeClient, options: HandleOptions): Sandbox {
  const { id, containerId, name, isCreated, keep, timings = noTimings, limits = {} } = options;
  const ports = new Set<ExposedPort>();
  let removal: Promise<void> | undefined;
  let isDetached = false;

  const lifetime = sandboxLifetime(limits, () => {
    // Nobody waits for it; who uses the handle hears of the end, and disposing tries again.
    remove().catch(() => undefined);
  });
  const check = (): void => {
    if (removal === undefined && !isDetached) return;
    const state = isDetached ? "detached" : "closed";
    throw new LongshoreError("SANDBOX_INVALID_STATE", `The sandbox ${id} is ${state}.`);
  };
  const using = async <Value>(call: () => Promise<Value>): Promise<Value> => {
    check();
    const value = call();
    lifetime.use(value);
    return value;
  };
  const start = (
    cmd: readonly string[],
    spawn: SpawnOptions & { readonly runsToEnd: boolean },
  ): SandboxProcess => {
    const started = spawnProcess(runtime, { containerId, cmd }, { ...spawn, check });
    lifetime.use(started.exit);
    return started;
  };
  const closePorts = async (): Promise<void> => {
    await Promise.all([...ports].map((port) => port[Symbol.asyncDispose]()));
  };
  const remove = async (): Promise<void> => {
    lifetime.stop();
    const removing = (removal ??= (async () => {
      await closePorts();
      await runtime.removePodSandbox({ podSandboxId: id });
    })());
    try {
      await removing;
    } catch (error) {
      if (removal === removing) removal = undefined;
      throw error;
    }
  };
  const detach = async (): Promise<void> => {
    isDetached = true;
    lifetime.stop();
    await closePorts();
  };

  const sandbox: Sandbox = {
    id,
    containerId,
    name,
    isCreated,
    timings,
    files: watchedFiles(sandboxFileTree(runtime, containerId), { check, use: lifetime.use }),
    run: (cmd, run = {}) => start(cmd, { ...run, runsToEnd: true }),
    spawn: (cmd, spawn = {}) => start(cmd, { ...spawn, runsToEnd: false }),
    connect: (port, call) =>
      using(async () => {
        const stream = await ability(runtime, "portForward")({ podSandboxId: id, port }, call);
        lifetime.use(finished(stream));
        return stream;
      }),
    expose: (port, expose) =>
      using(async () => {
        const exposed = await exposePort((call) => sandbox.connect(port, call), expose);
        try {
          check(); // it may have ended meanwhile
        } catch (error) {
          await exposed[Symbol.asyncDispose]();
          throw error;
        }
        ports.add(exposed);
        return {
          host: exposed.host,
          port: exposed.port,
          async [Symbol.asyncDispose]() {
            await exposed[Symbol.asyncDispose]();
            ports.delete(exposed);
          },
        };
      }),
    stats: (call) => using(() => ability(runtime, "podSandboxStats")({ podSandboxId: id }, call)),
    pause: (call) => using(() => ability(runtime, "pauseContainer")({ containerId }, call)),
    resume: (call) => using(() => ability(runtime, "resumeContainer")({ containerId }, call)),
    commit: (reference, { signal, ...changes } = {}) =>
      using(() =>
        ability(runtime, "commitContainer")({ containerId, reference, ...changes }, { signal }),
      ),
    remove: async () => {
      if (isDetached) check();
      await remove();
    },
    detach,
    toJSON: () => ({ kind: "longshore.sandbox.v1", id, containerId }),
    async [Symbol.asyncDispose]() {
      if (isDetached) return;
      if (isCreated && !keep) await remove();
      else if (removal === undefined) await detach();
      else await remove();
    },
  };
  return sandbox;
}

type Ability =
  | "portForward"
  | "podSandboxStats"
  | "pauseContainer"
  | "resumeContainer"
  | "commitContainer";

function ability<Name extends Ability>(
  runtime: RuntimeClient,
  name: Name,
): NonNullable<RuntimeClient[Name]> {
  const method = runtime[name];
  if (method !== undefined) return method.bind(runtime) as NonNullable<RuntimeClient[Name]>;
  throw new LongshoreError("RUNTIME_NOT_SUPPORTED", `The runtime has no ${name}.`, {
    details: { ability: name },
  });
}

interface Gate {
  check(): void;
  use(until: Promise<unknown>): void;
}

/** The same files, of which every call is looked at: whether it may be made, and until when it uses the sandbox. */
function watchedFiles(files: SandboxFileTree, { check, use }: Gate): SandboxFileTree {
  const methods = Object.entries(files).map(([name, method]) => {
    const call = method as (...args: readonly unknown[]) => Promise<unknown> | Readable | Writable;
    const watched = (...args: readonly unknown[]): Promise<unknown> | Readable | Writable => {
      check();
      const result = call(...args);
      use(result instanceof Promise ? result : finished(result));
      return result;
    };
    return [name, watched];
  });
  return Object.fromEntries(methods) as SandboxFileTree;
}
