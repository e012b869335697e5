import { describe, expect, it } from "vitest";
import {
  allowAllPolicy,
  defineHandler,
  definePlugin,
  echoHandler,
  LongshoreError,
  memoryTransport,
  startWorker,
  type Handler,
  type JobTransport,
  type Logger,
  type Plugin,
  type TransportFactory,
  type WorkerOptions,
} from "../../src/index.ts";

const policy = allowAllPolicy();

/** A handler that writes down when it is set up and torn down. */
function noting(name: string, notes: string[], more: Partial<Handler> = {}): Handler {
  return {
    ...defineHandler({
      name,
      operations: [`test.${name}`],
      setup: () => void notes.push(`setup ${name}`),
      execute: () => name,
      teardown: () => void notes.push(`teardown ${name}`),
    }),
    ...more,
  };
}

function bringing(name: string, ...handlers: readonly Handler[]): Plugin {
  return definePlugin({
    name,
    setup: (host) => {
      for (const handler of handlers) host.registerHandler(handler);
    },
  });
}

/** A plugin that offers transports by their type. */
function offering(factories: Readonly<Record<string, TransportFactory>>): Plugin {
  return definePlugin({
    name: "transports",
    setup: (host) => {
      for (const [type, factory] of Object.entries(factories)) {
        host.registerTransport(type, factory);
      }
    },
  });
}

/** A transport that notes that it was closed. */
function closing(name: string, notes: string[]): JobTransport {
  const transport = memoryTransport({ name });
  return {
    ...transport,
    async [Symbol.asyncDispose]() {
      notes.push(`close ${name}`);
      await transport[Symbol.asyncDispose]();
    },
  };
}

async function failureOf(options: Partial<WorkerOptions>): Promise<LongshoreError> {
  const error: unknown = await startWorker({ policy, ...options }).then(
    (worker) => worker.stop(),
    (thrown: unknown) => thrown,
  );
  if (error instanceof LongshoreError) return error;
  throw new Error("the worker did start", { cause: error });
}

/** Keeps what is logged at error. */
function errorLog(): { readonly logger: Logger; readonly entries: readonly unknown[] } {
  const entries: unknown[] = [];
  const ignore = (): void => {};
  const error = (fields: unknown): void => void entries.push(fields);
  const logger: Logger = {
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: ignore,
    error,
    child: () => logger,
  };
  return { logger, entries };
}

describe("the handlers of plugins", () => {
  it("run jobs next to those of the host program", async () => {
    await using worker = await startWorker({
      policy,
      handlers: [echoHandler],
      plugins: [bringing("a", noting("one", [])), bringing("b", noting("two", []))],
    });
    const results = [];
    for (const operation of ["test.one", "test.two", "system.echo"]) {
      const job = await worker.submit({ operation });
      results.push((await job.result()).status);
    }
    expect(results).toEqual(["completed", "completed", "completed"]);
  });

  it("are set up in the order of their plugins, and torn down in reverse", async () => {
    const notes: string[] = [];
    const plugins = [
      definePlugin({ ...bringing("b", noting("b1", notes), noting("b2", notes)), requires: ["a"] }),
      bringing("a", noting("a1", notes)),
    ];
    const worker = await startWorker({ policy, plugins, handlers: [noting("own", notes)] });
    expect(notes).toEqual(["setup own", "setup a1", "setup b1", "setup b2"]);
    notes.length = 0;
    await worker.stop();
    expect(notes).toEqual(["teardown b2", "teardown b1", "teardown a1", "teardown own"]);
    await worker.stop();
    expect(notes).toHaveLength(4);
  });

  it("are torn down, and the worker stops, although one of them throws there", async () => {
    const notes: string[] = [];
    const { logger, entries } = errorLog();
    const broken = noting("broken", notes, {
      teardown: () => {
        notes.push("teardown broken");
        throw new Error("the socket is gone");
      },
    });
    const plugins = [bringing("a", noting("first", notes)), bringing("b", broken)];
    const transport = closing("memory", notes);
    const worker = await startWorker({ policy, plugins, logger, transports: [transport] });
    notes.length = 0;
    await worker.stop();
    expect(notes).toEqual(["teardown broken", "teardown first", "close memory"]);
    expect(entries).toMatchObject([{ err: { errors: [{ message: "the socket is gone" }] } }]);
  });

  it("that were set up are torn down when a later one cannot be", async () => {
    const notes: string[] = [];
    const broken = noting("broken", notes, {
      setup: () => {
        throw new Error("no device");
      },
    });
    const plugins = [
      bringing("a", noting("first", notes)),
      bringing("b", broken, noting("last", notes)),
    ];
    const error = await failureOf({ plugins });
    expect(error.message).toBe('The handler "broken" could not be set up: no device');
    expect(notes).toEqual(["setup first", "teardown first"]);
  });
});

describe("a start that fails", () => {
  it("because a plugin throws sets no handler up", async () => {
    const notes: string[] = [];
    const broken = definePlugin({
      name: "broken",
      setup: () => {
        throw new Error("qemu-img is not installed");
      },
    });
    const error = await failureOf({ plugins: [bringing("a", noting("first", notes)), broken] });
    expect(error).toMatchObject({
      code: "PLUGIN_INVALID",
      message: 'The plugin "broken" could not be set up: qemu-img is not installed',
    });
    expect(notes).toEqual([]);
  });

  it("because two plugins want one operation names both handlers", async () => {
    const rival = noting("rival", [], { operations: ["test.one"] });
    const plugins = [bringing("a", noting("one", [])), bringing("b", rival)];
    const error = await failureOf({ plugins });
    expect(error).toMatchObject({ code: "PLUGIN_INVALID", details: { plugin: "b" } });
    expect(error.message).toMatch(/"test\.one" belongs to the handler "one"; "rival"/);
  });

  it("does not come from a plugin that takes an operation over on purpose", async () => {
    const rival = noting("rival", [], { operations: ["test.one"] });
    const taking = definePlugin({
      name: "b",
      setup: (host) => {
        host.registerHandler(rival, { override: true });
      },
    });
    await using worker = await startWorker({
      policy,
      plugins: [bringing("a", noting("one", [])), taking],
    });
    const job = await worker.submit({ operation: "test.one" });
    expect(await job.result()).toMatchObject({ data: "rival" });
  });
});

describe("the transports of plugins", () => {
  it("are opened with their entry of the configuration, without its type", async () => {
    const configs: unknown[] = [];
    const plugin = offering({
      "test-memory": (config) => {
        configs.push(config);
        return memoryTransport();
      },
    });
    const transports = [{ type: "test-memory", jobs_dir: "in", depth: { a: 1 } }];
    await using worker = await startWorker({ policy, plugins: [plugin], transports });
    expect(configs).toEqual([{ jobs_dir: "in", depth: { a: 1 } }]);
    expect(worker.state).toBe("ready");
  });

  it("are not opened when the configuration names none", async () => {
    const plugin = offering({
      "test-memory": () => {
        throw new Error("nobody asked");
      },
    });
    await using worker = await startWorker({ policy, plugins: [plugin] });
    expect(worker.state).toBe("ready");
  });

  it.each<readonly [string, TransportFactory, string]>([
    [
      "throws",
      () => {
        throw new Error("no broker at localhost.");
      },
      'The transport of type "test" could not be opened: no broker at localhost.',
    ],
    [
      "rejects with no error",
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- plugins of others may do it
      () => Promise.reject("no broker"),
      'The transport of type "test" could not be opened: no broker.',
    ],
    [
      "makes nothing",
      () => undefined as never,
      'The transport of type "test" could not be opened: what its plugin made is no transport.',
    ],
    [
      "makes something else",
      () => ({ name: "test" }) as never,
      'The transport of type "test" could not be opened: what its plugin made is no transport.',
    ],
  ])(
    "stop the start when a factory %s, and those before are closed",
    async (_what, factory, message) => {
      const notes: string[] = [];
      const plugin = offering({ good: () => closing("good", notes), test: factory });
      const error = await failureOf({
        plugins: [plugin],
        transports: [closing("own", notes), { type: "good" }, { type: "test" }],
      });
      expect(error).toMatchObject({ code: "CONFIG_ERROR", message, details: { type: "test" } });
      expect(notes).toEqual(["close own", "close good"]);
    },
  );

  it("keep the error of a factory that is one of ours", async () => {
    const own = new LongshoreError("TRANSPORT_ERROR", "The directory in is not there.");
    const plugin = offering({ test: () => Promise.reject(own) });
    expect(await failureOf({ plugins: [plugin], transports: [{ type: "test" }] })).toBe(own);
  });

  it("have a type each, and a name each", async () => {
    const make = () => memoryTransport({ name: "same" });
    const taken = definePlugin({
      name: "other",
      setup: (host) => {
        host.registerTransport("a", make);
      },
    });
    expect(await failureOf({ plugins: [offering({ a: make }), taken] })).toMatchObject({
      code: "PLUGIN_INVALID",
      message: 'The plugin "other" could not be set up: The transport type "a" is taken.',
    });
    const twice = [{ type: "a" }, { type: "b" }];
    expect(
      await failureOf({ plugins: [offering({ a: make, b: make })], transports: twice }),
    ).toMatchObject({ code: "CONFIG_ERROR", message: 'Two transports are named "same".' });
    expect(
      await failureOf({ plugins: [offering({ a: make, b: make })], transports: [{ type: "c" }] }),
    ).toMatchObject({ message: 'No plugin offers the transport type "c"; known: a, b.' });
  });

  it.each([
    ["no type", "", () => memoryTransport()],
    ["a type that is no name", 7, () => memoryTransport()],
    ["no factory", "a", memoryTransport()],
  ])("are refused with %s", async (_what, type, factory) => {
    const careless = definePlugin({
      name: "careless",
      setup: (host) => {
        host.registerTransport(type as never, factory as never);
      },
    });
    expect(await failureOf({ plugins: [careless] })).toMatchObject({
      code: "PLUGIN_INVALID",
      message: 'The plugin "careless" could not be set up: a transport needs a type and a factory',
    });
  });

  it("are not waited for after an abort, and closed when they come in spite of it", async () => {
    const notes: string[] = [];
    const controller = new AbortController();
    const late = Promise.withResolvers<JobTransport>();
    const plugin = offering({
      late: () => {
        controller.abort(new Error("enough"));
        return late.promise;
      },
    });
    const starting = startWorker({
      policy,
      plugins: [plugin],
      transports: [closing("own", notes), { type: "late" }],
      signal: controller.signal,
    });
    await expect(starting).rejects.toThrow("enough");
    expect(notes).toEqual(["close own"]);
    late.resolve(closing("late", notes));
    await expect.poll(() => notes).toEqual(["close own", "close late"]);
  });
});
