import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How much of what Redis acknowledges outlives a crash: nothing, or every command, synced to the disk. */
export type Persistence = "none" | "always";

/** A Redis of our own, on a socket in a temporary directory. */
export async function startRedis(
  persistence: Persistence,
): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-redis-"));
  const path = join(directory, "redis.sock");
  const server = spawn(
    "redis-server",
    [
      "--port",
      "0",
      "--unixsocket",
      path,
      "--dir",
      directory,
      "--save",
      "",
      ...(persistence === "none"
        ? ["--appendonly", "no"]
        : ["--appendonly", "yes", "--appendfsync", "always"]),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes("ready to accept connections")) break;
  }
  server.stdout.resume();
  return {
    path,
    async [Symbol.asyncDispose]() {
      const exited = once(server, "exit");
      server.kill("SIGTERM");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
