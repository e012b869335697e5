import { describe, expect, it } from "vitest";
import { handlerRegistry, LongshoreError, type Handler } from "../../src/index.ts";

function handler(
  name: string,
  operations: readonly string[],
  more: Partial<Handler> = {},
): Handler {
  return { name, operations, execute: () => name, ...more };
}

/** Handlers that write down what is done with them. */
function journal() {
  const entries: string[] = [];
  const make = (name: string, more: Partial<Handler> = {}) =>
    handler(name, [`test.${name}`], {
      setup: () => void entries.push(`setup ${name}`),
      teardown: () => void entries.push(`teardown ${name}`),
      ...more,
    });
  return { entries, make };
}

describe("resolve", () => {
  it("prefers the operation itself, then the longest pattern", () => {
    const registry = handlerRegistry();
    registry.register(handler("all", ["disk.*"]));
    registry.register(handler("deep", ["disk.image.*"]));
    registry.register(handler("exact", ["disk.image.inspect"]));
    const nameFor = (operation: string) => registry.resolve(operation)?.name;
    expect(nameFor("disk.image.inspect")).toBe("exact");
    expect(nameFor("disk.image.convert")).toBe("deep");
    expect(nameFor("disk.image.convert.fast")).toBe("deep");
    expect(nameFor("disk.wipe")).toBe("all");
  });

  it("finds nothing for the pattern's own prefix, a longer word, or another namespace", () => {
    const registry = handlerRegistry();
    registry.register(handler("all", ["disk.*"]));
    for (const operation of ["disk", "disks.inspect", "my.disk.inspect", "", "constructor.name"]) {
      expect(registry.resolve(operation)).toBeUndefined();
    }
  });

  it("lists operations and patterns, sorted", () => {
    const registry = handlerRegistry();
    registry.register(handler("b", ["z.z", "b.*"]));
    registry.register(handler("a", ["a.a"]));
    expect(registry.operations()).toEqual(["a.a", "b.*", "z.z"]);
  });
});

describe("register", () => {
  it("refuses an operation that is taken, naming both handlers, and registers nothing of the second", () => {
    const registry = handlerRegistry();
    registry.register(handler("first", ["a.a"]));
    const second = handler("second", ["b.b", "a.a"]);
    expect(() => registry.register(second)).toThrow(
      expect.objectContaining({
        code: "DUPLICATE_HANDLER",
        message: expect.stringMatching(/"a\.a".*"first".*"second"/),
      }),
    );
    expect(registry.resolve("b.b")).toBeUndefined();
    expect(registry.resolve("a.a")?.name).toBe("first");
  });

  it("refuses a pattern that is taken, but lets an operation below another's pattern be", () => {
    const registry = handlerRegistry();
    registry.register(handler("first", ["a.*"]));
    expect(() => registry.register(handler("second", ["a.*"]))).toThrow(LongshoreError);
    registry.register(handler("third", ["a.a"]));
    expect(registry.resolve("a.a")?.name).toBe("third");
  });

  it("refuses a handler that is already there", () => {
    const registry = handlerRegistry();
    const echo = handler("echo", ["a.a"]);
    registry.register(echo);
    expect(() => registry.register(echo)).toThrow(LongshoreError);
  });

  it("hands an operation over when told to", () => {
    const registry = handlerRegistry();
    registry.register(handler("first", ["a.a", "a.b"]));
    registry.register(handler("second", ["a.a"]), { override: true });
    expect(registry.resolve("a.a")?.name).toBe("second");
    expect(registry.resolve("a.b")?.name).toBe("first");
  });

  it("refuses what is no handler", () => {
    const registry = handlerRegistry();
    const wrong: unknown = { name: "wrong", operations: ["a.a"] };
    expect(() => registry.register(wrong as Handler)).toThrow(TypeError);
    expect(registry.operations()).toEqual([]);
  });
});

describe("setup and teardown", () => {
  it("go through the handlers in order, and back", async () => {
    const registry = handlerRegistry();
    const { entries, make } = journal();
    for (const name of ["a", "b", "c"]) registry.register(make(name));
    await registry.setup();
    await registry.teardown();
    await registry.teardown();
    expect(entries).toEqual([
      "setup a",
      "setup b",
      "setup c",
      "teardown c",
      "teardown b",
      "teardown a",
    ]);
  });

  it("tear down what was set up when a later handler fails, and name it", async () => {
    const registry = handlerRegistry();
    const { entries, make } = journal();
    const cause = new Error("no device");
    registry.register(make("a"));
    registry.register(make("b", { setup: () => Promise.reject(cause) }));
    registry.register(make("c"));
    await expect(registry.setup()).rejects.toMatchObject({
      message: 'The handler "b" could not be set up: no device',
      cause,
    });
    expect(entries).toEqual(["setup a", "teardown a"]);
  });

  it("tell why a handler failed, also when undoing the others fails", async () => {
    const registry = handlerRegistry();
    const { make } = journal();
    registry.register(
      make("a", {
        teardown: () => {
          throw new Error("stuck");
        },
      }),
    );
    registry.register(make("b", { setup: () => Promise.reject(new Error("no device")) }));
    await expect(registry.setup()).rejects.toThrow('"b" could not be set up: no device');
  });

  it("stop between handlers when aborted, with the reason itself", async () => {
    const registry = handlerRegistry();
    const { entries, make } = journal();
    const controller = new AbortController();
    const reason = new Error("enough");
    registry.register(
      make("a", {
        setup: ({ signal }) => {
          expect(signal).toBe(controller.signal);
          entries.push("setup a");
          controller.abort(reason);
        },
      }),
    );
    registry.register(make("b"));
    await expect(registry.setup({ signal: controller.signal })).rejects.toBe(reason);
    expect(entries).toEqual(["setup a", "teardown a"]);
  });

  it("tear every handler down, also when some fail, and tell of each failure", async () => {
    const registry = handlerRegistry();
    const { entries, make } = journal();
    const fail = (name: string) => make(name, { teardown: () => Promise.reject(new Error(name)) });
    registry.register(make("a"));
    registry.register(fail("b"));
    registry.register(fail("c"));
    await registry.setup();
    const failure: unknown = await registry.teardown().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AggregateError);
    expect(failure).toMatchObject({ errors: [{ message: "c" }, { message: "b" }] });
    expect(entries.at(-1)).toBe("teardown a");
  });

  it("leave out a handler that lost its last operation", async () => {
    const registry = handlerRegistry();
    const { entries, make } = journal();
    registry.register(make("a"));
    registry.register(make("b", { operations: ["test.a"] }), { override: true });
    await registry.setup();
    expect(entries).toEqual(["setup b"]);
  });
});
