import { admissionRules, allowAllPolicy, startWorker, type JobRuntime } from "@longshore/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tempRuntime, type TempRuntime } from "../../core/test/runtime/temp-runtime.ts";
import { containerHandler } from "../src/index.ts";

let temp: TempRuntime;
beforeAll(async () => {
  temp = await tempRuntime();
});
afterAll(() => temp[Symbol.asyncDispose]());

async function result(runtime: JobRuntime, allowedImages: readonly string[] = ["base"]) {
  const policy = allowAllPolicy();
  const admission = admissionRules({ allowedModes: ["image"], allowedImages });
  const { runtime: client, images } = temp;
  await using worker = await startWorker({
    handlers: [
      containerHandler({ runtime: client, images, policy, rules: admission, killGraceMs: 200 }),
    ],
    policy,
    admission,
  });
  const job = await worker.submit({ operation: "demo.greet", data: { name: "x" }, runtime });
  return job.result({ signal: AbortSignal.timeout(30_000) });
}

test("a worker runs a job of mode image, whatever its operation is called", async () => {
  const runtime: JobRuntime = {
    mode: "image",
    image: "base",
    cmd: ["sh", "-c", 'read line; echo "$line"'],
    params: { delivery: "stdin", format: "json" },
    output: { format: "json", artifacts: [] },
  };
  expect(await result(runtime)).toMatchObject({
    status: "completed",
    exitCode: 0,
    data: { name: "x" },
  });
});

test("a worker ends a job's container when its time is over", async () => {
  const runtime: JobRuntime = {
    mode: "image",
    image: "base",
    cmd: ["sh", "-c", "echo began; sleep 600"],
    limits: { maxRuntimeSeconds: 1 },
  };
  expect(await result(runtime)).toMatchObject({
    status: "timeout",
    stdout: "began\n",
    error: { code: "TIMEOUT" },
  });
  expect(await temp.runtime.listPodSandbox()).toEqual([]);
});

test("a worker takes no job whose image is not let in", async () => {
  const runtime: JobRuntime = { mode: "image", image: "base", cmd: ["true"] };
  await expect(result(runtime, [])).rejects.toMatchObject({ code: "IMAGE_NOT_ALLOWED" });
});
