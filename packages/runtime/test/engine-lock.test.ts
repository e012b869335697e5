import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownProcessIdentity } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { lockEngine } from "../src/records/engine-lock.ts";

async function tempDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "longshore-lock-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** One of those who ask at a time, and what the others were told. */
async function race(directory: string): Promise<AsyncDisposable> {
  const answers = await Promise.allSettled(Array.from({ length: 12 }, () => lockEngine(directory)));
  const won = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const codes = answers.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
  expect(new Set(codes)).toEqual(new Set(["STATE_CONFLICT"]));
  const [winner, ...others] = won;
  expect(others).toEqual([]);
  if (winner === undefined) throw new Error("nobody got the lock");
  return winner;
}

describe("an engine's lock", () => {
  it("is one's at a time, and the next one's afterwards", async () => {
    await using directory = await tempDirectory();
    const first = await race(directory.path);
    await expect(lockEngine(directory.path)).rejects.toMatchObject({
      code: "STATE_CONFLICT",
      details: { pid: process.pid },
    });
    await first[Symbol.asyncDispose]();
    await using _second = await race(directory.path);
    expect(await readdir(directory.path)).toEqual(["lock"]);
  });

  it.each([
    [
      "of a process that is gone",
      async () => ({ ...(await ownProcessIdentity()), pid: await deadPid() }),
    ],
    [
      "of an earlier process with the same number",
      async () => ({ ...(await ownProcessIdentity()), startTime: "1" }),
    ],
    [
      "from before the machine was restarted",
      async () => ({ ...(await ownProcessIdentity()), bootId: "other" }),
    ],
    ["that was cut off", async () => undefined],
  ])("is taken over by one: a lock %s", async (_what, owner) => {
    await using directory = await tempDirectory();
    for (const name of ["lock", "lock.takeover"]) {
      // A takeover that was cut off is taken over in turn.
      await writeFile(join(directory.path, name), JSON.stringify(await owner()) ?? '{"pi');
    }
    await using _winner = await race(directory.path);
    expect(await readdir(directory.path)).toEqual(["lock"]);
  });
});

async function deadPid(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  return child.pid ?? 0;
}
