import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import type { z } from "zod";
import { hasCode } from "../errors/has-code.ts";

export interface OwnerFileOptions<Owner extends { readonly instance: string }> {
  readonly path: string;
  /** What stands in it; `instance` is another one for each time that it is taken */
  readonly schema: z.ZodType<Owner>;
  /** Permissions of the file */
  readonly mode: number;
  isAlive(owner: Owner): Promise<boolean>;
  /** What is thrown when the file is a live owner's, as far as it is known whose */
  inUse(owner: Owner | undefined): Error;
}

/** A file that says which process has something. It stays when its owner is killed, and is the next one's to take then. */
export interface OwnerFile<Owner> {
  /** `undefined` when there is none, or none that can be read: then it is nobody's. */
  read(): Promise<Owner | undefined>;
  /** Whether a live process has it */
  isTaken(): Promise<boolean>;
  /**
   * Makes it the owner's until it is disposed.
   *
   * @throws what `inUse` makes when a live owner has it
   */
  take(owner: Owner): Promise<AsyncDisposable>;
  /**
   * Takes it away when its owner is dead.
   *
   * @returns false for a live owner's
   * @throws what `inUse` makes when a live owner came meanwhile
   */
  removeDead(): Promise<boolean>;
}

export function ownerFile<Owner extends { readonly instance: string }>(
  options: OwnerFileOptions<Owner>,
): OwnerFile<Owner> {
  const { path, schema, mode, isAlive, inUse } = options;

  async function read(from = path): Promise<Owner | undefined> {
    try {
      const parsed = schema.safeParse(JSON.parse(await readFile(from, "utf8")));
      return parsed.success ? parsed.data : undefined;
    } catch {
      return undefined;
    }
  }

  async function isLive(owner: Owner | undefined): Promise<boolean> {
    return owner !== undefined && (await isAlive(owner));
  }

  /** Takes a dead owner's file away, and gives it back when a live one's came between. */
  async function setAside(seen: Owner | undefined): Promise<void> {
    const aside = `${path}.${randomUUID()}.old`;
    try {
      await rename(path, aside);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return;
      throw error;
    }
    const taken = await read(aside);
    const isTheOneSeen = taken?.instance === seen?.instance;
    if (!isTheOneSeen) await isLinked(aside, path);
    await rm(aside, { force: true });
    if (!isTheOneSeen) throw inUse(taken);
  }

  return {
    read: () => read(),
    isTaken: async () => isLive(await read()),
    async take(owner) {
      const temporary = `${path}.${owner.instance}`;
      await writeFile(temporary, JSON.stringify(owner), { flag: "wx", mode });
      try {
        // A second name cannot overwrite the file of another owner.
        while (!(await isLinked(temporary, path))) {
          const seen = await read();
          if (await isLive(seen)) throw inUse(seen);
          await setAside(seen);
        }
      } finally {
        await rm(temporary, { force: true });
      }
      return {
        async [Symbol.asyncDispose]() {
          if ((await read())?.instance === owner.instance) await rm(path, { force: true });
        },
      };
    },
    async removeDead() {
      const seen = await read();
      if (await isLive(seen)) return false;
      await setAside(seen);
      return true;
    },
  };
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}
