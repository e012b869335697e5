import { LongshoreError, type Handler, type HandlerContext } from "@longshore/core";
import { describeHandlerConformance } from "@longshore/testkit";

const runs = new Map<string, number>();

function faulty(name: string, handler: Partial<Handler>): void {
  describeHandlerConformance(name, {
    handler: { name, operations: ["test.faulty"], execute: untilAborted, ...handler },
    validPayload: { list: [1, 2] },
    invalidPayload: "wrong",
    longPayload: { isLong: true },
    abortAfterMs: 20,
    abortMs: 100,
  });
}

/** What a good handler does: ends when it is told to, refuses what does not fit. */
async function untilAborted({ signal }: HandlerContext, payload: unknown): Promise<unknown> {
  if (payload === "wrong") throw new LongshoreError("VALIDATION_ERROR", "wrong");
  if (typeof payload !== "object" || payload === null || !("isLong" in payload)) return payload;
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

faulty("good", {});
faulty("returns a bigint", { execute: () => 1n });
faulty("returns a date", {
  execute: async (context, payload) => {
    await untilAborted(context, payload);
    return { at: new Date(0) };
  },
});
faulty("takes everything", {
  execute: (context, payload) => (payload === "wrong" ? "fine" : untilAborted(context, payload)),
});
faulty("asks for another try of a wrong payload", {
  execute: (context, payload) => {
    if (payload !== "wrong") return untilAborted(context, payload);
    throw new LongshoreError("VALIDATION_ERROR", "wrong", { retryable: true });
  },
});
faulty("ignores its signal", {
  execute: (context, payload) =>
    typeof payload === "object" && payload !== null && "isLong" in payload
      ? new Promise<never>(() => {})
      : untilAborted(context, payload),
});
faulty("goes back", {
  execute: (context, payload) => {
    context.progress({ phase: "p", percent: 90 });
    context.progress({ phase: "p", percent: 10 });
    return untilAborted(context, payload);
  },
});
faulty("cleans up what it never made", {
  cleanup: () => {
    throw new Error("no such connection");
  },
});
faulty("changes its payload", {
  execute: (context, payload) => {
    if (typeof payload === "object" && payload !== null && "list" in payload) {
      Object.assign(payload, { list: [] });
    }
    return untilAborted(context, payload);
  },
});
faulty("runs alone", {
  execute: async (context, payload) => {
    const count = (runs.get("alone") ?? 0) + 1;
    runs.set("alone", count);
    try {
      if (count > 1) throw new Error("already running");
      await new Promise((resolve) => setImmediate(resolve));
      return await untilAborted(context, payload);
    } finally {
      runs.set("alone", count - 1);
    }
  },
});
let isTornDown = false;
faulty("is set up once and for all", {
  setup: () => {
    if (isTornDown) throw new Error("cannot be opened again");
  },
  teardown: () => {
    isTornDown = true;
  },
});
