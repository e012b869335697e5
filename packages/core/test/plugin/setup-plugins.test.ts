import { describe, expect, it } from "vitest";
import {
  definePlugin,
  echoHandler,
  handlerRegistry,
  setupPlugins,
  silentLogger,
  type Plugin,
  type PluginHost,
} from "../../src/index.ts";

function host(): PluginHost & { readonly operations: () => readonly string[] } {
  const registry = handlerRegistry();
  return {
    logger: silentLogger,
    registerHandler: (handler, options) => {
      registry.register(handler, options);
    },
    registerTransport: () => {},
    operations: registry.operations,
  };
}

/** Plugins from lines like `a: b c`, meaning that a requires b and c. */
async function orderOf(...lines: readonly string[]): Promise<readonly string[]> {
  const order: string[] = [];
  const plugins = lines.map((line) => {
    const [name = "", needs = ""] = line.split(":");
    return definePlugin({
      name,
      requires: needs.split(" ").filter(Boolean),
      setup: () => void order.push(name),
    });
  });
  await setupPlugins(plugins, host());
  return order;
}

describe("order", () => {
  it("is the given one when nobody requires anything", async () => {
    expect(await orderOf("c", "a", "b")).toEqual(["c", "a", "b"]);
  });

  it("puts what is required first, and changes nothing else", async () => {
    expect(await orderOf("a:d", "b", "c:b", "d:e", "e", "f")).toEqual([
      "e",
      "d",
      "a",
      "b",
      "c",
      "f",
    ]);
  });

  it("sets a plugin up once that several require", async () => {
    expect(await orderOf("top:left right", "left:base", "right:base", "base")).toEqual([
      "base",
      "left",
      "right",
      "top",
    ]);
  });

  it("waits for each setup to end before the next begins", async () => {
    const entries: string[] = [];
    const slow = (name: string) =>
      definePlugin({
        name,
        async setup() {
          entries.push(`${name} begins`);
          await Promise.resolve();
          entries.push(`${name} ends`);
        },
      });
    await setupPlugins([slow("a"), slow("b")], host());
    expect(entries).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });
});

describe("start-up errors", () => {
  it.each([
    ["a name that is there twice", ["a", "b", "a"], 'Two plugins are named "a".'],
    [
      "a missing need",
      ["a", "b:nowhere"],
      'The plugin "b" requires "nowhere", which is not there.',
    ],
    ["a plugin that requires itself", ["a:a"], "Plugins require each other in a circle: a → a."],
    [
      "a circle",
      ["x:a", "a:b", "b:c", "c:a"],
      "Plugins require each other in a circle: a → b → c → a.",
    ],
  ])("%s", async (_what, lines, message) => {
    await expect(orderOf(...lines)).rejects.toMatchObject({ code: "PLUGIN_INVALID", message });
  });

  it("come before anything is set up", async () => {
    const order: string[] = [];
    const first = definePlugin({ name: "first", setup: () => void order.push("first") });
    const second = definePlugin({ name: "second", requires: ["nowhere"], setup: () => {} });
    await expect(setupPlugins([first, second], host())).rejects.toThrow("nowhere");
    expect(order).toEqual([]);
  });

  it("name the plugin whose setup throws, and why", async () => {
    const cause = new Error("set DISK_ROOTS");
    const plugin = definePlugin({ name: "disk", setup: () => Promise.reject(cause) });
    await expect(setupPlugins([plugin], host())).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: 'The plugin "disk" could not be set up: set DISK_ROOTS',
      cause,
      details: { plugin: "disk" },
    });
  });

  it("name the plugin whose setup throws before it returns anything", async () => {
    const plugin = definePlugin({
      name: "disk",
      setup() {
        throw new Error("at once");
      },
    });
    await expect(setupPlugins([plugin], host())).rejects.toThrow(
      '"disk" could not be set up: at once',
    );
  });

  it("name both handlers when two plugins want one operation", async () => {
    const plugin = (name: string): Plugin =>
      definePlugin({ name, setup: (target) => target.registerHandler(echoHandler) });
    await expect(setupPlugins([plugin("a"), plugin("b")], host())).rejects.toMatchObject({
      code: "PLUGIN_INVALID",
      message: expect.stringMatching(/plugin "b".*"system.echo" belongs to the handler "echo"/),
      cause: { code: "DUPLICATE_HANDLER" },
    });
  });

  it("name the plugin that registers what is no handler", async () => {
    const wrong: unknown = { name: "wrong", operations: ["wrong"], execute() {} };
    const plugin = definePlugin({
      name: "careless",
      setup: (target) => target.registerHandler(wrong as never),
    });
    await expect(setupPlugins([plugin], host())).rejects.toThrow(
      /"careless" could not be set up: handler "wrong": "wrong" is neither/,
    );
  });
});

describe("abort", () => {
  it("reaches the plugin that is being set up, and ends the wait for it", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const entries: string[] = [];
    const stuck = definePlugin({
      name: "stuck",
      setup: (_host, options) =>
        new Promise<never>(() => {
          options?.signal?.addEventListener("abort", () => entries.push("told"));
          controller.abort(reason);
        }),
    });
    const next = definePlugin({ name: "next", setup: () => void entries.push("next") });
    await expect(setupPlugins([stuck, next], host(), { signal: controller.signal })).rejects.toBe(
      reason,
    );
    expect(entries).toEqual(["told"]);
  });
});

describe("definePlugin", () => {
  it("stamps the version of the contract", () => {
    expect(definePlugin({ name: "a", setup: () => {} })).toMatchObject({
      name: "a",
      apiVersion: 1,
    });
  });

  it.each([
    ["no name", { setup: () => {} }],
    ["an empty name", { name: "", setup: () => {} }],
    ["no setup", { name: "a" }],
    ["needs that are no list", { name: "a", setup: () => {}, requires: "b" }],
    ["needs that are no names", { name: "a", setup: () => {}, requires: [1] }],
  ])("refuses %s", (_what, definition) => {
    const wrong: unknown = definition;
    expect(() => definePlugin(wrong as Plugin)).toThrow(TypeError);
  });
});
