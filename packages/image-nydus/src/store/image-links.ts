import { randomUUID } from "node:crypto";
import { mkdir, readdir, readlink, rename, rmdir, symlink, unlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** What a link of a store is named after: an image's full name with a tag. */
export interface TaggedName {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** A name and what its links lead to. */
export interface LinkedName {
  readonly name: TaggedName;
  readonly imageId: string;
  readonly bootstrapId: string;
}

/**
 * The links of a store, for people and other tools. One name's tag may stand where another's repository does, e.g. `a:b`
 * and `a/b:c`; then the later one has no links.
 */
export interface ImageLinks {
  /** Makes the links of a name, in place of those of an earlier image. */
  link(linked: LinkedName): Promise<void>;
  unlink(name: TaggedName): Promise<void>;
  /** Makes what is missing and deletes what is too much; only while nobody else makes links. */
  sync(all: readonly LinkedName[]): Promise<void>;
}

export function imageLinks(root: string, blobPath: (blobId: string) => string): ImageLinks {
  const roots = [join(root, "bootstrap"), join(root, "refs")];

  function pathsOf({ registry, repository, tag }: TaggedName) {
    return {
      bootstrap: join(root, "bootstrap", registry, repository, `${tag}.meta`),
      ref: join(root, "refs", registry, repository, tag),
    };
  }

  /** Targets by path. */
  function linksOf({ name, imageId, bootstrapId }: LinkedName): readonly [string, string][] {
    const { bootstrap, ref } = pathsOf(name);
    return [
      [bootstrap, relative(dirname(bootstrap), blobPath(bootstrapId))],
      [ref, imageId],
    ];
  }

  return {
    async link(linked) {
      for (const [path, target] of linksOf(linked)) {
        await unlessTaken(() => replaceLink(path, target));
      }
    },
    async unlink(name) {
      const { bootstrap, ref } = pathsOf(name);
      for (const path of [bootstrap, ref]) await unlessTaken(() => unlink(path));
    },
    async sync(all) {
      const missing = new Map(all.flatMap(linksOf));
      for (const directory of roots) await removeOthers(directory, missing);
      for (const [path, target] of missing) await unlessTaken(() => replaceLink(path, target));
    },
  };
}

/** Deletes links that are not wanted as they are, and empty directories; wanted links that are there are taken off the map. */
async function removeOthers(directory: string, wanted: Map<string, string>): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await removeOthers(path, wanted);
    if (!entry.isSymbolicLink()) continue;
    if (wanted.get(path) === (await readlink(path))) wanted.delete(path);
    else await unlink(path);
  }
  await rmdir(directory).catch(() => undefined);
}

async function replaceLink(path: string, target: string): Promise<void> {
  const fresh = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  await symlink(target, fresh);
  try {
    await rename(fresh, path);
  } catch (error) {
    await unlink(fresh);
    throw error;
  }
}

/** What the file system says where a link stands in place of a directory, or the other way round, or nothing at all. */
const takenCodes: ReadonlySet<unknown> = new Set([
  "EEXIST",
  "EISDIR",
  "ENOENT",
  "ENOTDIR",
  "ENOTEMPTY",
]);

async function unlessTaken(change: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && takenCodes.has(error.code))) throw error;
  }
}
