import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { defineHandler, type Handler, type HandlerContext } from "../../src/index.ts";

/** A Standard Schema that no library made. */
function evenNumber(): StandardSchemaV1<unknown, number> {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof value === "number" && value % 2 === 0
          ? { value }
          : { issues: [{ message: "must be even" }] },
    },
  };
}

describe("types", () => {
  it("come from the payload's schema, after its transforms and defaults", () => {
    const handler = defineHandler({
      name: "typed",
      operations: ["test.typed"],
      payload: z.object({
        at: z.iso.datetime().transform((text) => new Date(text)),
        limit: z.number().default(10),
      }),
      execute(context, payload) {
        expectTypeOf(context).toEqualTypeOf<HandlerContext>();
        expectTypeOf(payload).toEqualTypeOf<{ at: Date; limit: number }>();
        return { year: payload.at.getUTCFullYear() };
      },
    });
    expectTypeOf(handler).toEqualTypeOf<Handler<{ at: Date; limit: number }, { year: number }>>();
  });

  it("come from any Standard Schema", () => {
    const handler = defineHandler({
      name: "even",
      operations: ["test.even"],
      payload: evenNumber(),
      execute(_context, payload) {
        expectTypeOf(payload).toEqualTypeOf<number>();
        return Promise.resolve(payload / 2);
      },
    });
    expectTypeOf(handler).toEqualTypeOf<Handler<number, number>>();
  });

  it("are unknown for a payload without a schema", () => {
    const handler = defineHandler({
      name: "any",
      operations: ["test.any"],
      execute: (_context, payload) => [payload],
    });
    expectTypeOf(handler).toEqualTypeOf<Handler<unknown, unknown[]>>();
  });

  it("make execute return what the result's schema takes in, not what it makes of it", () => {
    const result = z.object({ at: z.date().transform((date) => date.toISOString()) });
    defineHandler({
      name: "dated",
      operations: ["test.dated"],
      result,
      execute: () => ({ at: new Date(0) }),
    });
    defineHandler({
      name: "wrong",
      operations: ["test.wrong"],
      result,
      // @ts-expect-error -- the schema takes a Date
      execute: () => ({ at: "1970-01-01T00:00:00Z" }),
    });
    expect(result.parse({ at: new Date(0) })).toEqual({ at: "1970-01-01T00:00:00.000Z" });
  });

  it("let any handler stand for Handler, where workers take them", () => {
    const handler = defineHandler({
      name: "even",
      operations: ["test.even"],
      payload: evenNumber(),
      result: z.number(),
      execute: (_context, payload) => payload,
    });
    expectTypeOf(handler).toExtend<Handler>();
  });
});

describe("operations", () => {
  const define = (...operations: string[]) =>
    defineHandler({ name: "ops", operations, execute: () => undefined });

  it.each(["a.b", "disk.inspect", "guest-kit.disk_2.inspect", "disk.*", "a.b.*", "7zip.pack"])(
    "may be %j",
    (operation) => {
      expect(define(operation).operations).toEqual([operation]);
    },
  );

  it.each([
    "",
    "*",
    "disk",
    "disk.",
    ".disk",
    "disk..inspect",
    "Disk.inspect",
    "disk.*.inspect",
    "disk.in*",
    "disk.**",
    "disk inspect.a",
    "disk/../x.y",
    "-a.b",
    "a.b\n",
    `a.${"b".repeat(300)}`,
  ])("may not be %j", (operation) => {
    expect(() => define(operation)).toThrow(TypeError);
  });

  it("must be there, each once", () => {
    expect(() => define()).toThrow('handler "ops" names no operation');
    expect(() => define("a.b", "a.c", "a.b")).toThrow('handler "ops" names "a.b" twice');
  });
});

describe("definitions that no worker could use", () => {
  const good = { name: "good", operations: ["a.b"], execute: () => undefined };

  it.each([
    ["no name", { name: undefined }, "needs a name"],
    ["an empty name", { name: "" }, "needs a name"],
    ["no execute", { execute: undefined }, "has no execute function"],
    ["operations that are no list", { operations: "a.b" }, "names no operation"],
    ["an operation that is no text", { operations: [7] }, '"7" is neither'],
    ["a payload that is no schema", { payload: { type: "object" } }, "Standard Schemas"],
  ])("%s", (_what, change, message) => {
    const definition: unknown = { ...good, ...change };
    expect(() => defineHandler(definition as Handler)).toThrow(TypeError);
    expect(() => defineHandler(definition as Handler)).toThrow(message);
  });
});
