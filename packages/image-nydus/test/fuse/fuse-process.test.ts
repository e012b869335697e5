import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountRecords } from "../../src/mount/mount-records.ts";
import { isMounted } from "../../src/mount/mounted-at.ts";
import { canMount, mountPlace, type MountPlace } from "./mount-place.ts";

let place: MountPlace;
beforeEach(async () => {
  place = await mountPlace();
});
afterEach(() => place[Symbol.asyncDispose]());

const server = fileURLToPath(new URL("mount-server.ts", import.meta.url));

function startServer(then: "wait" | "exit"): ReturnType<typeof spawn> {
  return spawn(process.execPath, ["--conditions=@longshore/source", server, place.path, then], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

describe.skipIf(!canMount)("the process behind a FUSE mount (needs root and /dev/fuse)", () => {
  it("leaves a dead mount when it is killed, which a later one takes down", async () => {
    const child = startServer("wait");
    if (child.stdout !== null) await once(child.stdout, "data");
    const target = join(place.path, "mnt");
    const records = mountRecords(place.path);
    expect(await records.recover()).toEqual([]);
    expect((await stat(join(target, "file"))).size).toBe(6);

    child.kill("SIGKILL");
    await once(child, "exit");
    // What the kernel has seen it still knows; all else is lost.
    await expect(stat(join(target, "unseen"))).rejects.toMatchObject({ code: "ENOTCONN" });
    expect(await isMounted(target)).toBe(true);
    expect(await records.recover()).toEqual([target]);
    expect(await readdir(target)).toEqual([]);
    expect(await readdir(join(place.path, "mounts"))).toEqual([]);
  });

  it("unmounts when it exits in an orderly way", async () => {
    const child = startServer("exit");
    const [exitCode] = (await once(child, "exit")) as [number];
    expect(exitCode).toBe(0);
    expect(await isMounted(join(place.path, "mnt"))).toBe(false);
    expect(await mountRecords(place.path).recover()).toEqual([]);
    expect(await readdir(join(place.path, "mounts"))).toEqual([]);
  });
});
