import { describe, expect, it } from "vitest";
import { sharedTasks, type SharedContext } from "../../src/store/shared-task.ts";

function deferredTask() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const contexts: SharedContext<number>[] = [];
  const task = (context: SharedContext<number>): Promise<string> => {
    contexts.push(context);
    context.signal.addEventListener("abort", () => {
      reject(context.signal.reason as Error);
    });
    return promise;
  };
  return { task, contexts, resolve, reject };
}

describe("a shared task", () => {
  it("runs once for all who ask while it runs, and anew for the next", async () => {
    const tasks = sharedTasks<string, number>();
    const { task, contexts, resolve } = deferredTask();
    const both = Promise.all([tasks.run("a", {}, task), tasks.run("a", {}, task)]);
    await Promise.resolve();
    resolve("done");
    expect(await both).toEqual(["done", "done"]);
    expect(contexts).toHaveLength(1);
    expect(await tasks.run("a", {}, () => Promise.resolve("again"))).toBe("again");
  });

  it("goes on while one is left, and ends with the last", async () => {
    const tasks = sharedTasks<string, number>();
    const { task, contexts } = deferredTask();
    const first = new AbortController();
    const second = new AbortController();
    const firstRun = tasks.run("a", { signal: first.signal }, task);
    const secondRun = tasks.run("a", { signal: second.signal }, task);
    await Promise.resolve();
    first.abort(new Error("first left"));
    await expect(firstRun).rejects.toThrow("first left");
    expect(contexts[0]?.signal.aborted).toBe(false);
    second.abort(new Error("second left"));
    await expect(secondRun).rejects.toThrow("second left");
    expect(contexts[0]?.signal.aborted).toBe(true);
  });

  it("does not let anyone join one that was given up", async () => {
    const tasks = sharedTasks<string, number>();
    const controller = new AbortController();
    const abandoned = tasks.run("a", { signal: controller.signal }, () => new Promise(() => {}));
    await Promise.resolve();
    controller.abort(new Error("left"));
    await expect(abandoned).rejects.toThrow("left");
    expect(await tasks.run("a", {}, () => Promise.resolve("new"))).toBe("new");
  });

  it("tells all about its progress, late ones the latest first", async () => {
    const tasks = sharedTasks<string, number>();
    const { task, contexts, resolve } = deferredTask();
    const told: string[] = [];
    const early = tasks.run("a", { onProgress: (n) => told.push(`early ${n}`) }, task);
    await Promise.resolve();
    contexts[0]?.report(1);
    const late = tasks.run("a", { onProgress: (n) => told.push(`late ${n}`) }, task);
    contexts[0]?.report(2);
    resolve("done");
    await Promise.all([early, late]);
    expect(told).toEqual(["early 1", "late 1", "early 2", "late 2"]);
  });

  it("fails for all", async () => {
    const tasks = sharedTasks<string, number>();
    const { task, reject } = deferredTask();
    const both = Promise.allSettled([tasks.run("a", {}, task), tasks.run("a", {}, task)]);
    await Promise.resolve();
    reject(new Error("broken"));
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  it("ends everything at the end", async () => {
    const tasks = sharedTasks<string, number>();
    const { task } = deferredTask();
    const run = tasks.run("a", {}, task);
    await Promise.resolve();
    await Promise.all([tasks.end(new Error("closing")), expect(run).rejects.toThrow("closing")]);
  });

  it("waits at the end for what everyone has left, and what cleans up still", async () => {
    const tasks = sharedTasks<string, number>();
    const cleaned = Promise.withResolvers<string>();
    const controller = new AbortController();
    const run = tasks.run("a", { signal: controller.signal }, () => cleaned.promise);
    await Promise.resolve();
    controller.abort(new Error("left"));
    await expect(run).rejects.toThrow("left");
    let hasEnded = false;
    const end = tasks.end(new Error("closing")).then(() => {
      hasEnded = true;
    });
    await new Promise(setImmediate);
    expect(hasEnded).toBe(false);
    cleaned.resolve("clean");
    await end;
  });
});
