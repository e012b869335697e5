import { readFile, stat } from "node:fs/promises";

const defaultRoot = "/var/lib/docker";

/**
 * Where a Docker engine of this host keeps its images: `data-root` of `/etc/docker/daemon.json`, or its default;
 * `undefined` when there is none. The engine itself is not asked, which a health check would have to wait for.
 */
export async function dockerRoot(
  configPath = "/etc/docker/daemon.json",
): Promise<string | undefined> {
  const root = (await configuredRoot(configPath)) ?? defaultRoot;
  try {
    return (await stat(root)).isDirectory() ? root : undefined;
  } catch {
    // No Docker here, or one of which this user may know nothing.
    return undefined;
  }
}

async function configuredRoot(path: string): Promise<string | undefined> {
  try {
    const config: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof config !== "object" || config === null || !("data-root" in config)) return undefined;
    const root = config["data-root"];
    return typeof root === "string" && root.startsWith("/") ? root : undefined;
  } catch {
    // Most engines have no file of their own.
    return undefined;
  }
}
