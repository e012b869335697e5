import type { LinuxContainerSecurityContext } from "@longshore/core";
import {
  parseGroup,
  parseId,
  parsePasswd,
  type GroupEntry,
  type PasswdEntry,
} from "./account-files.ts";
import type { OciUser } from "./oci-spec.ts";
import { readInRoot } from "./open-in-root.ts";
import { invalid } from "./spec-error.ts";

/** Bytes of an image's account file; some tens of thousands of accounts. */
const maxFileBytes = 4 * 1_024 * 1_024;
/** The kernel's NGROUPS_MAX. */
const maxGroups = 65_536;

/** Who a process runs as. */
export interface ResolvedUser extends OciUser {
  /** Home directory by the image's `/etc/passwd` */
  readonly home?: string | undefined;
}

/** Accounts of an image. */
export interface Accounts {
  readonly users: readonly PasswdEntry[];
  readonly groups: readonly GroupEntry[];
}

/**
 * The accounts in a root filesystem; none when the files are missing.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when a file is not a regular one inside the root, or too large
 */
export async function readAccounts(rootPath: string): Promise<Accounts> {
  const [passwd, group] = await Promise.all(
    ["/etc/passwd", "/etc/group"].map(async (path) => readInRoot(rootPath, path, maxFileBytes)),
  );
  return parseAccounts(passwd ?? "", group ?? "");
}

/** Accounts out of the texts of both files. */
export function parseAccounts(passwd: string, group: string): Accounts {
  return { users: parsePasswd(passwd), groups: parseGroup(group) };
}

/** Whether a user is given by numbers, so that it is known without the accounts who that is. */
export function isNumericUser(user: string): boolean {
  return /^\d+(:\d+)?$/.test(user);
}

/**
 * Finds the ids of `uid`, `user`, `uid:gid` or `user:group`. Digits are always an id, so that no image can give a number
 * another meaning. Without a group it is the account's, else 0.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for names that the image does not know
 */
export function resolveUser(
  accounts: Accounts,
  user: string,
  context: LinuxContainerSecurityContext | undefined,
): ResolvedUser {
  const [userPart = "", groupPart, ...rest] = user.split(":");
  if (rest.length > 0 || userPart === "" || groupPart === "") {
    throw invalid("user", `A user is "user", "uid", "user:group" or "uid:gid", not ${show(user)}.`);
  }
  const account = findUser(accounts, userPart);
  const gid = groupPart === undefined ? account.gid : findGroup(accounts, groupPart);
  const additionalGids = [...new Set([gid, ...supplementalGroups(accounts, account, context)])];
  if (additionalGids.length > maxGroups) {
    throw invalid("supplementalGroups", `A process can be in ${maxGroups} groups at most.`);
  }
  return { uid: account.uid, gid, additionalGids, home: account.home };
}

interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name?: string;
  readonly home?: string | undefined;
}

function findUser({ users }: Accounts, user: string): Account {
  const id = parseIdStrictly("user", user);
  const found = users.find(({ name, uid }) => (id === undefined ? name === user : uid === id));
  if (found !== undefined) {
    return { ...found, home: isHome(found.home) ? found.home : undefined };
  }
  if (id === undefined) throw invalid("user", `The image has no user ${show(user)}.`);
  return { uid: id, gid: 0 };
}

function findGroup({ groups }: Accounts, group: string): number {
  const id = parseIdStrictly("group", group);
  if (id !== undefined) return id;
  const found = groups.find(({ name }) => name === group);
  if (found === undefined) throw invalid("group", `The image has no group ${show(group)}.`);
  return found.gid;
}

/** Digits that are no id are an error, not a name. */
function parseIdStrictly(field: string, text: string): number | undefined {
  if (!/^[-+]?\d+$/.test(text)) return undefined;
  const id = parseId(text);
  if (id === undefined) throw invalid(field, `Ids go from 0 to 4294967294: ${show(text)}.`);
  return id;
}

function supplementalGroups(
  { groups }: Accounts,
  account: Account,
  context: LinuxContainerSecurityContext | undefined,
): readonly number[] {
  const { supplementalGroups: asked = [], supplementalGroupsPolicy = "merge" } = context ?? {};
  for (const gid of asked) {
    if (parseId(String(gid)) === undefined) {
      throw invalid("supplementalGroups", `Ids go from 0 to 4294967294: ${gid}.`);
    }
  }
  const { name } = account;
  if (supplementalGroupsPolicy === "strict" || name === undefined) return asked;
  const ofImage = groups.filter(({ members }) => members.includes(name));
  return [...asked, ...ofImage.map(({ gid }) => gid)];
}

function isHome(path: string): boolean {
  return path.startsWith("/") && path.length < 4_096 && !path.includes("\0");
}

function show(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
