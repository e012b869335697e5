import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { once } from "node:events";
import { homedir } from "node:os";
import { join } from "node:path";

/** What nobody has used for so long is deleted */
const keptMs = 7 * 86_400_000;

export interface CachedBuild {
  /** Name of what is built */
  readonly name: string;
  /** The module that builds: another text of it is another build */
  readonly recipe: URL;
  /** Makes everything in an empty directory */
  build(directory: string): Promise<void>;
}

/**
 * What takes long to build, built once for all processes and kept in the user's cache; whoever uses it only reads. A build
 * that was cut off is never seen.
 *
 * @returns its directory
 */
export async function cachedBuild({ name, recipe, build }: CachedBuild): Promise<string> {
  const root = join(
    process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
    "longshore",
    "test-builds",
  );
  const hash = createHash("sha256").update(await readFile(recipe));
  const key = hash
    .update(process.version + process.arch)
    .digest("hex")
    .slice(0, 16);
  const whole = join(root, `${name}-${key}`);
  await mkdir(root, { recursive: true });
  await withLock(whole, async () => {
    if (!existsSync(whole)) {
      await removeOld(root, { name, whole });
      const partial = `${whole}.${randomUUID()}.partial`;
      try {
        await mkdir(partial);
        await build(partial);
        await rename(partial, whole);
      } finally {
        await rm(partial, { recursive: true, force: true });
      }
    }
    await utimes(whole, new Date(), new Date());
  });
  return whole;
}

/** What nobody uses, and what builders left that were killed. */
async function removeOld(
  root: string,
  { name, whole }: { readonly name: string; readonly whole: string },
): Promise<void> {
  for (const entry of await readdir(root)) {
    const path = join(root, entry);
    if (!entry.startsWith(`${name}-`)) continue;
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    // Nobody else builds the same now: that is what the lock is for.
    const isLeft = path.startsWith(`${whole}.`) || Date.now() - mtimeMs > keptMs;
    if (isLeft) await rm(path, { recursive: true, force: true });
  }
}

/** One process at a time: the lock is a socket in the kernel's abstract namespace, which goes with its process. */
async function withLock(name: string, work: () => Promise<void>): Promise<void> {
  const path = `\0longshore-build-${createHash("sha256").update(name).digest("hex")}`;
  for (;;) {
    const server = createServer();
    try {
      server.listen({ path });
      await once(server, "listening");
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
      const socket = connect({ path });
      // Refused: it has just become free.
      socket.on("error", () => socket.destroy()).resume();
      await new Promise((resolve) => socket.once("close", resolve));
      continue;
    }
    const waiting = new Set<{ destroy(): void }>();
    server.on("connection", (socket) => {
      waiting.add(socket);
      socket.on("error", () => socket.destroy()).once("close", () => waiting.delete(socket));
    });
    try {
      await work();
    } finally {
      server.close();
      for (const socket of waiting) socket.destroy();
    }
    return;
  }
}
