import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { silentLogger } from "@longshore/core";
import { recordingSink } from "@longshore/testkit";
import { expect, it } from "vitest";
import { openAnswerSpool } from "../src/polling/answer-spool.ts";
import { backoff } from "../src/polling/backoff.ts";
import { HeldLeases } from "../src/polling/held-leases.ts";
import { masterCall, type MasterCall } from "../src/polling/master-call.ts";
import { outbox } from "../src/polling/outbox.ts";
import { pollLoop } from "../src/polling/poll-loop.ts";
import { resolvePollingOptions } from "../src/polling/polling-options.ts";
import { scriptedMaster, sendJson } from "./fixtures/scripted-master.ts";

const polls = 50;

it("keeps no answer of a poll once it is done with it", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const directory = await mkdtemp(join(tmpdir(), "longshore-poll-loop-"));
  try {
    await using master = await scriptedMaster();
    let count = 0;
    const lastPoll = Promise.withResolvers<void>();
    master.answer({
      "POST /workers/w1/poll": (_request, response) => {
        count += 1;
        // One that tells something is followed by the next one at once.
        const cancels = [{ job_id: "job-1", lease_id: "job-1~a" }];
        if (count <= polls) sendJson(response, 200, { leases: [], cancels, cancel_cursor: "c" });
        else lastPoll.resolve();
      },
    });
    const options = resolvePollingOptions({ url: master.url, directory });
    const realCall = masterCall(options);
    const answers: WeakRef<object>[] = [];
    const call: MasterCall = async (target, request) => {
      const answer = await realCall(target, request);
      if (target.endsWith("/poll")) answers.push(new WeakRef(answer as object));
      return answer;
    };
    const waits = backoff({ firstMs: 1, capMs: 1 });
    const shared = { call, backoff: waits, logger: silentLogger, sleep: options.sleep };
    await using spool = await openAnswerSpool({
      directory,
      url: master.url,
      workerId: "w1",
      maxBytes: 1_000_000,
      logger: silentLogger,
    });
    await using box = outbox({ ...shared, spool });
    await using loop = pollLoop({
      ...shared,
      options,
      sink: recordingSink(),
      workerId: "w1",
      spool,
      outbox: box,
      held: new HeldLeases(),
    });
    await loop.start(undefined);
    await lastPoll.promise;
    collectGarbage();
    expect(answers).toHaveLength(polls);
    // The last one may still be looked at.
    expect(answers.filter((one) => one.deref() !== undefined).length).toBeLessThanOrEqual(1);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
