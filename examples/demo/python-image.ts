import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Python without most of its library, and what it needs to run; nothing is configured, so there is nothing to wait for. */
const debian = [
  "--quiet",
  "--variant=extract",
  "--include=python3-minimal",
  "--dpkgopt=path-exclude=/usr/share/*",
  "bookworm",
];
const settings = ["--config.cmd", "python3", "--config.env", "PATH=/usr/bin:/bin"];
const tag = "python";
/** A build that was interrupted is older than this */
const staleMs = 3_600_000;

/**
 * An OCI layout with one image, `python`, made of Debian's packages once and kept in the user's cache. Needs root.
 *
 * @param onStep told what is being done, when there is anything to do
 * @throws {Error} when a tool is missing, or the packages cannot be fetched
 */
export async function pythonImage(onStep: (step: string) => void): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "longshore");
  const recipe = createHash("sha256").update(JSON.stringify([debian, settings, process.arch]));
  const layout = join(cache, `demo-image-${recipe.digest("hex").slice(0, 12)}`);
  if (await exists(layout)) return layout;
  await mkdir(cache, { recursive: true });
  await removeStale(cache);
  const building = await mkdtemp(join(cache, ".building-"));
  try {
    const rootfs = join(building, "rootfs.tar");
    onStep("image: fetching Debian's packages of Python (once, some 20 seconds)");
    await tool("mmdebstrap", [...debian, rootfs]);
    onStep("image: packing them");
    const made = join(building, "layout");
    const image = ["--image", `${made}:${tag}`];
    await tool("umoci", ["init", "--layout", made]);
    await tool("umoci", ["new", ...image]);
    await tool("umoci", ["raw", "add-layer", ...image, rootfs]);
    await tool("umoci", ["config", ...image, ...settings]);
    // There as a whole or not at all; when another demo was faster, its image is as good.
    await rename(made, layout).catch(async (error: unknown) => {
      if (!(await exists(layout))) throw error;
    });
    onStep(`image: kept in ${layout}`);
    return layout;
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

/** Directories of builds that were killed. */
async function removeStale(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!name.startsWith(".building-")) continue;
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > staleMs) await rm(path, { recursive: true, force: true });
  }
}

async function tool(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, args);
  } catch (error) {
    const stderr = error instanceof Error && "stderr" in error ? String(error.stderr) : "";
    const problem = stderr.split("\n").find((line) => /^E: |error/i.test(line));
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const reason = isMissing ? "is not installed" : `failed: ${problem ?? String(error)}`;
    throw new Error(`${command} ${reason}`, { cause: error });
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
