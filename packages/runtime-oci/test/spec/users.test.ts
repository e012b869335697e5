import { execFileSync } from "node:child_process";
import { mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseGroup, parseId, parsePasswd } from "../../src/spec/account-files.ts";
import { readAccounts, resolveUser, type Accounts } from "../../src/spec/resolve-user.ts";
import { refusal } from "./refusal.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

const accounts: Accounts = {
  users: parsePasswd(
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1234::/home/app:\n1001:x:7:7::/seven:\nbad:x:8:8::relative:\n",
  ),
  groups: parseGroup("staff:x:1234:\nvideo:x:44:app,root\naudio:x:63:app\n99:x:5:\n"),
};
const resolve = (user: string, context = {}) => resolveUser(accounts, user, context);

describe("a user of an image", () => {
  it("is found by name and by id, with the groups that list it", () => {
    const app = { uid: 1_000, gid: 1_234, additionalGids: [1_234, 44, 63], home: "/home/app" };
    expect(resolve("app")).toEqual(app);
    expect(resolve("1000")).toEqual(app);
    expect(resolve("app:video")).toEqual({ ...app, gid: 44, additionalGids: [44, 63] });
    expect(resolve("app:7")).toMatchObject({ gid: 7, additionalGids: [7, 44, 63] });
  });

  it("may be an id that the image does not know, in group 0", () => {
    expect(resolve("4242")).toEqual({ uid: 4_242, gid: 0, additionalGids: [0], home: undefined });
    expect(resolve("4242:staff")).toMatchObject({ uid: 4_242, gid: 1_234 });
    expect(resolve("4294967294")).toMatchObject({ uid: 4_294_967_294 });
  });

  it("cannot give a number another meaning", () => {
    expect(resolve("1001")).toMatchObject({ uid: 1_001, gid: 0 });
    expect(resolve("0:99")).toMatchObject({ gid: 99 });
  });

  it("is in the groups asked for, and with the strict policy in no others", () => {
    const supplementalGroups = [50_000, 44];
    expect(resolve("app", { supplementalGroups }).additionalGids).toEqual([1_234, 50_000, 44, 63]);
    expect(
      resolve("app", { supplementalGroups, supplementalGroupsPolicy: "strict" }).additionalGids,
    ).toEqual([1_234, 50_000, 44]);
  });

  it("has a home only when it is a path", () => {
    expect(resolve("bad").home).toBeUndefined();
  });

  it.each([
    ["nobody-here", "user"],
    ["app:nobody-here", "group"],
    ["", "user"],
    [":1000", "user"],
    ["app:", "user"],
    ["app:staff:more", "user"],
    ["root\nroot", "user"],
    ["../../etc", "user"],
    ["-1", "user"],
    ["4294967295", "user"],
    ["99999999999999999999", "user"],
    ["app:-1", "group"],
    ["0x0", "user"],
    ["__proto__", "user"],
  ])("is refused as %j", async (user, field) => {
    expect(await refusal(() => resolve(user))).toBe(`VALIDATION_ERROR ${field}`);
  });

  it("is refused with groups that are none", async () => {
    for (const gid of [-1, 1.5, 2 ** 32]) {
      expect(await refusal(() => resolve("app", { supplementalGroups: [gid] }))).toBe(
        "VALIDATION_ERROR supplementalGroups",
      );
    }
  });
});

describe("account files", () => {
  let root: TempDir;
  beforeEach(async () => {
    root = await tempDir();
    await mkdir(join(root.path, "rootfs/etc"), { recursive: true });
  });
  afterEach(() => root[Symbol.asyncDispose]());
  const rootfs = () => join(root.path, "rootfs");
  const passwd = () => join(rootfs(), "etc/passwd");

  it("may be missing", async () => {
    expect(await readAccounts(rootfs())).toEqual({ users: [], groups: [] });
  });

  it("are followed inside the image only", async () => {
    await writeFile(join(root.path, "outside"), "evil:x:0:0::/:\n");
    await writeFile(join(rootfs(), "inside"), "good:x:5:5::/:\n");
    await symlink("/../../../inside", passwd());
    await symlink(join(root.path, "outside"), join(rootfs(), "etc/group"));
    const found = await readAccounts(rootfs());
    expect(found.users.map(({ name }) => name)).toEqual(["good"]);
    expect(found.groups).toEqual([]);
  });

  it("cannot be reached over a directory that is a link out of the image", async () => {
    await using image = await tempDir();
    await symlink("/etc", join(image.path, "etc"));
    // /etc of the image is a link to itself then, which never ends.
    expect(await refusal(() => readAccounts(image.path))).toBe("VALIDATION_ERROR rootfs");
    await using other = await tempDir();
    await symlink("../../../../../../../../etc", join(other.path, "e"));
    await symlink("e", join(other.path, "etc"));
    expect(await refusal(() => readAccounts(other.path))).toBe("VALIDATION_ERROR rootfs");
  });

  it("are refused when they are links in a circle", async () => {
    await symlink("passwd", passwd());
    expect(await refusal(() => readAccounts(rootfs()))).toBe("VALIDATION_ERROR rootfs");
  });

  it("are refused when they are pipes, sockets or directories, without waiting", async () => {
    execFileSync("mkfifo", [passwd()]);
    expect(await refusal(() => readAccounts(rootfs()))).toBe("VALIDATION_ERROR rootfs");
    await mkdir(join(rootfs(), "etc/group"));
    expect(await refusal(() => readAccounts(rootfs()))).toBe("VALIDATION_ERROR rootfs");
  });

  it("are refused when they are huge, without reading them", async () => {
    await writeFile(passwd(), "");
    await truncate(passwd(), 10 * 1_024 ** 3);
    expect(await refusal(() => readAccounts(rootfs()))).toBe("VALIDATION_ERROR rootfs");
  });

  it("give any text back as sound entries", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        for (const { name, uid, gid } of parsePasswd(text)) {
          expect(name).not.toMatch(/^$|[:\n]/);
          expect([uid, gid].every((id) => Number.isInteger(id) && id >= 0)).toBe(true);
        }
        for (const { name, gid, members } of parseGroup(text)) {
          expect(name).not.toMatch(/^$|[:\n]/);
          expect(parseId(String(gid))).toBe(gid);
          expect(members.join("")).not.toMatch(/[,:\n]/);
        }
      }),
    );
  });

  it("give back what was written", () => {
    const word = fc.stringMatching(/^[^:,\n]{1,12}$/);
    const id = fc.integer({ min: 0, max: 0xff_ff_ff_fe });
    const user = fc.record({ name: word, uid: id, gid: id, home: word });
    fc.assert(
      fc.property(fc.array(user), (users) => {
        const lines = users.map(
          ({ name, uid, gid, home }) => `${name}:x:${uid}:${gid}::${home}:\n`,
        );
        expect(parsePasswd(lines.join("# no entry\n"))).toEqual(users);
      }),
    );
    const group = fc.record({ name: word, gid: id, members: fc.array(word) });
    fc.assert(
      fc.property(fc.array(group), (groups) => {
        const lines = groups.map(
          ({ name, gid, members }) => `${name}:x:${gid}:${members.join(",")}`,
        );
        expect(parseGroup(lines.join("\n"))).toEqual(groups);
      }),
    );
  });
});
