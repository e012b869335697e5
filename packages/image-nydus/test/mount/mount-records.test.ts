import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isProcessAlive, ownProcessIdentity, type ProcessIdentity } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountRecordFiles } from "../../src/mount/mount-record.ts";
import { mountRecords } from "../../src/mount/mount-records.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-records-"));
});
afterEach(() => rm(directory, { recursive: true }));

const records = (): Promise<string[]> => readdir(join(directory, "mounts"));

describe("records of mounts", () => {
  it("are there before the mount and until after its end", async () => {
    const target = join(directory, "a");
    let isDisposed = false;
    const mounted = await mountRecords(directory).mount(target, async () => {
      const [name = ""] = await records();
      const record: unknown = JSON.parse(await readFile(join(directory, "mounts", name), "utf8"));
      expect(record).toEqual({ target, owner: await ownProcessIdentity() });
      return {
        [Symbol.asyncDispose]: async () => {
          expect((await records()).length).toBe(1);
          isDisposed = true;
        },
      };
    });
    expect((await records()).length).toBe(1);
    await mounted[Symbol.asyncDispose]();
    await mounted[Symbol.asyncDispose]();
    expect(isDisposed).toBe(true);
    expect(await records()).toEqual([]);
  });

  it("go away when the mount fails", async () => {
    const reason = new Error("no");
    await expect(
      mountRecords(directory).mount(join(directory, "a"), () => Promise.reject(reason)),
    ).rejects.toBe(reason);
    expect(await records()).toEqual([]);
  });

  it("keep a second mount away from a target", async () => {
    const target = join(directory, "a");
    const place = mountRecords(directory);
    await using _ = await place.mount(target, async () => undefined);
    await expect(place.mount(target, async () => undefined)).rejects.toMatchObject({
      code: "STATE_CONFLICT",
      details: { owner: process.pid },
    });
  });

  it.each(["..", "../other", "/etc", "."])("refuse the target %s", async (target) => {
    await expect(
      mountRecords(directory).mount(
        target.startsWith("/") ? target : join(directory, target),
        async () => undefined,
      ),
    ).rejects.toMatchObject({ code: "VALIDATION_ERROR", details: { field: "target" } });
  });

  it("of processes that run are left alone, those of dead ones are cleaned up", async () => {
    const files = mountRecordFiles(join(directory, "mounts"));
    const child = spawn("sleep", ["600"]);
    await once(child, "spawn");
    const own = await ownProcessIdentity();
    const text = await readFile(`/proc/${child.pid}/stat`, "latin1");
    const startTime = text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    const other: ProcessIdentity = { ...own, pid: child.pid ?? 0, startTime };
    await files.add({ target: join(directory, "mine"), owner: own });
    await files.add({ target: join(directory, "other"), owner: other });
    await files.add({ target: join(directory, "reused"), owner: { ...own, startTime: "1" } });
    await files.add({ target: join(directory, "boot"), owner: { ...own, bootId: "another" } });
    const left = async (): Promise<string[]> => {
      await mountRecords(directory).recover();
      return (await files.list()).map(({ target }) => target).toSorted();
    };
    expect(await left()).toEqual([join(directory, "mine"), join(directory, "other")]);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await isProcessAlive(other)).toBe(false);
    expect(await left()).toEqual([join(directory, "mine")]);
  });

  it("that a dead process had begun to write are deleted, those of others are not", async () => {
    const child = spawn("true");
    await once(child, "exit");
    await mkdir(join(directory, "mounts"));
    const drafts = [`dead.json.${child.pid}.new`, `lives.json.${process.ppid}.new`];
    for (const name of drafts) await writeFile(join(directory, "mounts", name), "{");
    expect(await mountRecords(directory).recover()).toEqual([]);
    expect(await records()).toEqual(drafts.slice(1));
  });

  it("never lead out of their directory, whatever is in them", async () => {
    const files = mountRecordFiles(join(directory, "mounts"));
    const owner: ProcessIdentity = { ...(await ownProcessIdentity()), startTime: "1" };
    await files.add({ target: "/proc", owner });
    await files.add({ target: `${directory}/../../proc`, owner });
    await writeFile(join(directory, "mounts", "broken.json"), "{");
    await writeFile(join(directory, "mounts", "wrong.json"), `{"target": 5}`);
    expect(await mountRecords(directory).recover()).toEqual([]);
    expect((await records()).length).toBe(4);
  });

  it("are none in a directory that is new", async () => {
    expect(await mountRecords(directory).recover()).toEqual([]);
  });
});
