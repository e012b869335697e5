import { mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { hasCode } from "@longshore/core/errors";

/**
 * Keeps what V8 has compiled of the command for its next start, which then takes two thirds of the time. Where nothing can
 * be written, each start compiles. `NODE_COMPILE_CACHE` names another directory, and `NODE_DISABLE_COMPILE_CACHE=1` keeps
 * nothing; both are Node's own.
 */
export function keepCompiledCode(env: NodeJS.ProcessEnv = process.env): void {
  const isDecided = "NODE_COMPILE_CACHE" in env || "NODE_DISABLE_COMPILE_CACHE" in env;
  if (isDecided) return;
  const cache = cacheDirectory(env);
  const directory = join(cache, "longshore");
  // Node makes directories, too, but without an end where the kernel lets nobody make them, as in /proc.
  if (makeDirectory(cache) && makeDirectory(directory))
    enableCompileCache(join(directory, "compiled"));
}

/** Of the user alone: whoever writes there decides what the command does. Node's own choice is below `/tmp`. */
function cacheDirectory(env: NodeJS.ProcessEnv): string {
  // Never the directory of the user who has become root.
  if (process.getuid?.() === 0) return "/var/cache";
  return env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
}

/** @returns whether it is there now */
function makeDirectory(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    return hasCode(error, "EEXIST");
  }
}
