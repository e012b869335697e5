import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { startDockerRegistry } from "../packages/image-nydus/test/registry/docker-registry.ts";
import {
  cleanEnv,
  longshoreCommand,
  startLongshore,
  type CommandOutput,
  type RunningCommand,
} from "./fixtures/longshore.ts";
import {
  bigBytes,
  buildSampleImages,
  run,
  startStallingRegistry,
} from "./fixtures/sample-images.ts";

let images = "";
let layout = "";
let bigDigest = "";
let cwd = "";
let target = "";

beforeAll(async () => {
  images = await mkdtemp(join(tmpdir(), "longshore-image-cli-"));
  layout = await buildSampleImages(images);
  bigDigest = sha256(await readFile(join(images, "big")));
});
afterAll(async () => {
  await rm(images, { recursive: true, force: true });
});
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "longshore-image-cli-"));
  target = join(cwd, "target");
  await mkdir(target);
});
afterEach(async () => {
  const mounts = await readFile("/proc/mounts", "utf8");
  const isMounted = mounts.includes(cwd);
  if (isMounted) await run("umount", "--lazy", target);
  await rm(cwd, { recursive: true, force: true });
  if (isMounted) throw new Error(`something was mounted at ${target} still`);
});

const start = (args: readonly string[], input?: string): RunningCommand =>
  startLongshore([...args], {
    cwd,
    ...(input !== undefined && { input }),
  });
const startImage = (args: readonly string[], input?: string): RunningCommand =>
  start(["image", ...args, "--home", "home"], input);
const image = (...args: readonly string[]): Promise<CommandOutput> => startImage(args).ended;

/** Runs a command that must succeed and gives the JSON values it printed. */
async function ask(...args: readonly string[]): Promise<Record<string, unknown>[]> {
  const { exitCode, stdout, stderr } = await image(...args);
  expect(exitCode, stderr).toBe(0);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function answer(...args: readonly string[]): Promise<Record<string, unknown>> {
  const [first, ...more] = await ask(...args);
  expect(more).toEqual([]);
  return first ?? {};
}

/** Runs a command on a terminal and gives what one sees on it. */
function onTerminal(...args: readonly string[]): Promise<string> {
  const command = [process.execPath, longshoreCommand, "image", ...args, "--home", "home"];
  return run(
    "env",
    "-i",
    "-C",
    cwd,
    ...Object.entries({ ...cleanEnv(), TERM: "xterm" }).map(([key, value]) => `${key}=${value}`),
    "script",
    "--quiet",
    "--return",
    "--command",
    `stty rows 40 cols 120; ${command.join(" ")}`,
    "/dev/null",
  );
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const blobs = (): string => join(cwd, "home", "images", "blobs", "sha256");

describe("longshore image", () => {
  it("pulls from a layout, lists, inspects and measures", async () => {
    const pulled = await answer("pull", `oci:${layout}:one`);
    expect(pulled).toMatchObject({
      image_id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      names: ["localhost/sample:one"],
      logical_bytes: bigBytes + 6,
      on_demand: false,
    });
    await ask("pull", `oci:${layout}:two`);
    const listed = await ask("ls");
    expect(listed.map(({ names }) => names)).toEqual([
      ["localhost/sample:one"],
      ["localhost/sample:two"],
    ]);
    expect(listed[0]).toMatchObject({ image_id: pulled["image_id"], pinned: false });

    const inspected = await answer("inspect", String(pulled["image_id"]).slice(7, 19));
    expect(inspected).toMatchObject({
      image_id: pulled["image_id"],
      names: ["localhost/sample:one"],
      origin: `oci:${layout}:one`,
      config: { config: { Cmd: ["/bin/true"] }, os: "linux" },
      manifest: { schemaVersion: 2 },
      blobs: [{ chunk_count: 4, compressor: "none" }],
    });

    const usage = await answer("df");
    const stored = Number(usage["stored_bytes"]);
    expect(usage["logical_bytes"]).toBe(2 * (bigBytes + 6) + 500_000);
    expect(stored).toBeGreaterThan(bigBytes + 500_000);
    expect(stored).toBeLessThan(bigBytes + 500_000 + 200_000);
    expect(usage["dedup_ratio"]).toBeCloseTo(Number(usage["logical_bytes"]) / stored);
    const [first] = usage["images"] as Record<string, unknown>[];
    expect(first).toMatchObject({ names: ["localhost/sample:one"] });
    expect(Number(first?.["shared_bytes"])).toBeGreaterThan(bigBytes);
  });

  it("draws a bar for each layer on a terminal, and tables for people", async () => {
    const pulled = await onTerminal("pull", `oci:${layout}:two`);
    expect(pulled).toMatch(/[0-9a-f]{12} {2}█+/);
    expect(pulled).toMatch(/✓ localhost\/sample:two {2}[0-9a-f]{12} {2}3\.50 MB in 5 inodes/);
    expect(await onTerminal("ls")).toMatch(
      /│ localhost\/sample │ two │ [0-9a-f]{12} │ 3\.50 MB │ 3\.5\d MB │/,
    );
    expect(await onTerminal("df")).toMatch(/3\.50 MB of images in 3\.5\d MB on disk .*ratio 0\.99/);
    expect(await onTerminal("verify")).toMatch(/2 files, 3\.5\d MB checked: all well/);
  });

  it("tells of each layer in a line where there is no terminal, and of nothing with --json", async () => {
    const { stderr } = await image("pull", `oci:${layout}:one`);
    expect(stderr).toMatch(
      /^resolve\ndownload: 2 layers, 3\.00 MB\nlayer 1\/2 [0-9a-f]{12} 3\.00 MB\n/,
    );
    const again = await image("pull", "--json", `oci:${layout}:two`);
    expect(again).toMatchObject({ exitCode: 0, stderr: "" });
  });

  it("pulls from a registry, each byte once, and removes by name and by id", async () => {
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/team/app`;
    await run(
      "skopeo",
      "copy",
      "--dest-tls-verify=false",
      `oci:${layout}:one`,
      `docker://${name}:1`,
    );
    const pulled = await answer("pull", `${name}:1`);
    expect(pulled).toMatchObject({
      names: [`${name}:1`, expect.stringContaining(`${name}@sha256:`)],
    });
    expect(Number(pulled["received_bytes"])).toBeGreaterThan(bigBytes);
    expect(await answer("pull", `${name}:1`)).toMatchObject({ received_bytes: 0 });
    await ask("pull", `oci:${layout}:one`);
    expect(await ask("ls")).toHaveLength(1);

    expect(await answer("rm", `${name}:1`)).toMatchObject({ kept: true });
    expect(await ask("ls")).toMatchObject([{ names: ["localhost/sample:one"] }]);
    await ask("pull", `${name}:1`);
    expect(await answer("rm", String(pulled["image_id"]))).toMatchObject({ kept: false });
    expect(await ask("ls")).toEqual([]);
    expect(await readdir(blobs())).toEqual([]);
  });

  it("takes a password from standard input, and says when it is not the right one", async () => {
    await using registry = await startDockerRegistry({
      basic: { username: "ann", password: "secret" },
    });
    const name = `${registry.host}/private:1`;
    await run(
      "skopeo",
      "copy",
      "--dest-tls-verify=false",
      "--dest-creds=ann:secret",
      `oci:${layout}:one`,
      `docker://${name}`,
    );
    const pull = async (...[password, ...flags]: readonly string[]): Promise<CommandOutput> => {
      await using running = startImage(["pull", name, ...flags], password);
      return await running.ended;
    };
    const flags = ["--username", "ann", "--password-stdin"];
    const refused = await pull("wrong\n", ...flags);
    expect(refused.exitCode, refused.stderr).toBe(3);
    expect(refused.stderr).not.toContain("wrong");
    expect(await pull("", "--username", "ann")).toMatchObject({ exitCode: 2 });
    const pulled = await pull("secret\n", ...flags);
    expect(pulled.exitCode, pulled.stderr).toBe(0);
  });

  it("shows what two tags share", async () => {
    await ask("pull", `oci:${layout}:one`);
    await ask("pull", `oci:${layout}:two`);
    expect(await answer("diff", "localhost/sample:one", "localhost/sample:two")).toEqual({
      shared_chunks: 4,
      shared_bytes: bigBytes + 6,
      first_only_chunks: 0,
      first_only_bytes: 0,
      second_only_chunks: 1,
      second_only_bytes: 500_000,
    });
    const shown = await onTerminal("diff", "localhost/sample:one", "localhost/sample:two");
    expect(shown).toMatch(/in both +│ +4 │ 3\.00 MB │ +100\.0 % │ +85\.7 % │/);
    expect(shown).toMatch(/only in localhost\/sample:two │ +1 │ +500 kB │ +│ +14\.3 % │/);
  });

  it("finds a damaged file, says which images need it, and repairs them", async () => {
    const one = await answer("pull", `oci:${layout}:one`);
    await ask("pull", `oci:${layout}:two`);
    const { blobs: needed } = await answer("inspect", "localhost/sample:one");
    const [{ id = "" } = {}] = needed as { id?: string }[];
    await truncate(join(blobs(), id), 1_000_000);

    const found = await image("verify");
    expect(found.exitCode).toBe(1);
    expect(JSON.parse(found.stdout)).toMatchObject({
      ok: false,
      problems: [
        {
          blob_id: id,
          kind: "data",
          problem: "changed",
          images: expect.arrayContaining([one["image_id"]]),
        },
      ],
    });
    const repaired = await answer("verify", "--repair");
    expect(repaired).toMatchObject({ ok: false, repaired: [{}, {}] });
    expect(await answer("verify")).toMatchObject({ ok: true, problems: [] });
    expect((await stat(join(blobs(), id))).size).toBeGreaterThan(bigBytes);
  });

  it("says so when a damaged image cannot be fetched again", async () => {
    const copy = join(cwd, "copy");
    await run("cp", "-r", layout, copy);
    await ask("pull", `oci:${copy}:one`);
    await rm(copy, { recursive: true });
    for (const blob of await readdir(blobs())) await writeFile(join(blobs(), blob), "damaged");
    const { exitCode, stdout } = await image("verify", "--repair");
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      problems: [{}, {}],
      repaired: [{ problem: expect.stringContaining(copy) }],
    });
  });

  it("deletes what nobody needs", async () => {
    await ask("pull", `oci:${layout}:one`);
    await writeFile(join(blobs(), "a".repeat(64)), "left over");
    expect(await answer("gc")).toMatchObject({ deferred: false, images: [], files: 1 });
    expect(await readdir(blobs())).toHaveLength(2);
    expect(await answer("verify")).toMatchObject({ ok: true });
  });

  it("tells wrong names from images that are not there", async () => {
    const wrong = await image("pull", "UPPER/case");
    expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
    expect(wrong.stderr).toContain("is not an image reference");
    expect(await image("pull", `oci:${cwd}/nothing`)).toMatchObject({ exitCode: 4 });
    await using registry = await startDockerRegistry();
    expect(await image("pull", `${registry.host}/none:1`)).toMatchObject({ exitCode: 4 });
    expect(await image("pull", `oci:${layout}:one`, "--platform", "a/b/c/d")).toMatchObject({
      exitCode: 2,
    });
    for (const args of [["inspect"], ["rm"], ["mount", target], ["diff", "other"]]) {
      const [command = "", ...more] = args;
      const missing = await image(command, "missing", ...more);
      expect(missing, command).toMatchObject({ exitCode: 4 });
      expect(missing.stderr).toContain("missing is not in the store");
    }
    await ask("pull", `oci:${layout}:one`);
    // By a part of its name, or where it was pulled from.
    for (const text of ["sample:one", `oci:${layout}:one`]) {
      expect((await image("inspect", text)).stderr).toContain(
        `${text} is not in the store. Did you mean localhost/sample:one?`,
      );
    }
    expect(await image("frobnicate")).toMatchObject({ exitCode: 2 });
  });

  it("goes on with the next when one image to remove is not there", async () => {
    await ask("pull", `oci:${layout}:one`);
    const { exitCode, stdout } = await image("rm", "missing", "localhost/sample:one");
    expect(exitCode).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ image: "localhost/sample:one", kept: false });
  });

  it("leaves nothing when a pull is interrupted", async () => {
    await using registry = await startStallingRegistry(layout);
    const pulling = startImage(["pull", `${registry.host}/app:two`]);
    await using _killed = pulling;
    await registry.stalled;
    pulling.child.kill("SIGINT");
    const { exitCode, stdout, stderr } = await pulling.ended;
    expect(exitCode, stderr).toBe(130);
    expect(stdout).toBe("");
    expect(stderr).toContain("Interrupted by SIGINT");
    const store = join(cwd, "home", "images");
    for (const folder of ["ingest", "blobs/sha256", "lazy"]) {
      expect(await readdir(join(store, folder)), folder).toEqual([]);
    }
    expect(await ask("ls")).toEqual([]);
    expect(await answer("gc")).toMatchObject({ deferred: false, files: 0, bytes: 0 });
  });

  it("pushes to a registry, and converts for loading on demand", async () => {
    await ask("pull", `oci:${layout}:two`);
    await using registry = await startDockerRegistry();
    const pushed = await answer("push", "localhost/sample:two", `${registry.host}/app:2`);
    const seen = JSON.parse(
      await run("skopeo", "inspect", "--tls-verify=false", `docker://${registry.host}/app:2`),
    ) as { Digest: string; Layers: readonly string[] };
    expect(seen.Digest).toBe(pushed["digest"]);
    expect(seen.Layers).toHaveLength(1);

    await ask("convert", "localhost/sample:two", `${registry.host}/app:lazy`);
    expect(await answer("pull", `${registry.host}/app:lazy`)).toMatchObject({
      on_demand: true,
      logical_bytes: bigBytes + 6 + 500_000,
    });
    const unnamed = await image("push", String(pushed["digest"]).slice(7));
    expect(unnamed.exitCode).not.toBe(0);
  });

  it("says in its help what the exit codes mean", async () => {
    for (const command of ["pull", "mount"]) {
      const { exitCode, stdout } = await image(command, "--help");
      expect(exitCode).toBe(0);
      expect(stdout).toContain("Exit codes:");
    }
  });
});

describe.skipIf(process.getuid?.() !== 0)("longshore image mount (needs root)", () => {
  const readTarget = async (name: string): Promise<string> =>
    sha256(await readFile(join(target, "data", name)));

  it("shows an image by the kernel, and stays after the command", async () => {
    await ask("pull", `oci:${layout}:one`);
    const mounted = await answer("mount", "localhost/sample:one", target);
    expect(mounted).toMatchObject({
      target,
      method: expect.stringMatching(/^erofs-/),
      served: false,
    });
    try {
      expect(await readTarget("big")).toBe(bigDigest);
      await expect(writeFile(join(target, "data", "new"), "")).rejects.toThrow("EROFS");
      const again = await image("mount", "localhost/sample:one", target);
      expect(again).toMatchObject({ exitCode: 3 });
      expect(again.stderr).toContain("mounted");
    } finally {
      expect(await answer("umount", target)).toEqual({ target });
    }
    expect(await readdir(target)).toEqual([]);
    expect(await image("umount", target)).toMatchObject({ exitCode: 4 });
  });

  it("leaves alone what is no image, and wants a directory", async () => {
    await ask("pull", `oci:${layout}:one`);
    const refused = await image("umount", "/proc");
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain("no image");
    expect(await readdir("/proc")).toContain("self");
    expect(await image("mount", "localhost/sample:one", "nowhere")).toMatchObject({ exitCode: 2 });
  });

  it.each(["SIGINT", "SIGTERM"] as const)("serves an image by FUSE until %s", async (signal) => {
    await ask("pull", `oci:${layout}:one`);
    await using serving = startImage(["mount", "localhost/sample:one", target, "--method", "fuse"]);
    await isServing(serving);
    expect(await readTarget("big")).toBe(bigDigest);
    serving.child.kill(signal);
    expect(await serving.ended).toMatchObject({ exitCode: 0 });
    expect(await readdir(target)).toEqual([]);
  });

  it("loads a converted image when its files are read", async () => {
    await ask("pull", `oci:${layout}:one`);
    await using registry = await startDockerRegistry();
    const name = `${registry.host}/app:lazy`;
    await ask("convert", "localhost/sample:one", name);
    await ask("rm", "localhost/sample:one");
    await ask("pull", name);
    const ownBytes = async (): Promise<number> => Number((await ask("ls"))[0]?.["own_bytes"]);
    expect(await ownBytes()).toBeLessThan(200_000);

    await using serving = startImage(["mount", name, target]);
    await isServing(serving);
    expect(JSON.parse(serving.output().stdout)).toMatchObject({ method: "fuse", served: true });
    expect(await readTarget("big")).toBe(bigDigest);
    expect(await ownBytes()).toBeGreaterThan(bigBytes);
    serving.child.kill("SIGTERM");
    expect(await serving.ended).toMatchObject({
      exitCode: 0,
      stderr: expect.not.stringContaining("WARN"),
    });
  });

  it("ends a FUSE mount from another terminal, and what a killed command left", async () => {
    await ask("pull", `oci:${layout}:one`);
    const args = ["mount", "localhost/sample:one", target, "--method", "fuse"];
    {
      await using serving = startImage(args);
      await isServing(serving);
      await ask("umount", target);
      expect(await serving.ended).toMatchObject({ exitCode: 0 });
    }
    {
      await using serving = startImage(args);
      await isServing(serving);
    }
    await expect(stat(target)).rejects.toThrow("ENOTCONN");
    await ask("umount", target);
    expect(await readdir(target)).toEqual([]);
  });

  it("keeps a served image readable when it is removed", async () => {
    await ask("pull", `oci:${layout}:one`);
    await using serving = startImage(["mount", "localhost/sample:one", target, "--method", "fuse"]);
    await isServing(serving);
    await ask("rm", "localhost/sample:one");
    expect(await readdir(blobs())).toEqual([]);
    expect(await readTarget("big")).toBe(bigDigest);
    serving.child.kill("SIGTERM");
    expect(await serving.ended).toMatchObject({ exitCode: 0 });
  });

  it("tells in doctor how images can be mounted here", async () => {
    const { exitCode, stdout } = await start(["doctor", "--home", "home"]).ended;
    expect(exitCode).toBe(0);
    const { checks } = JSON.parse(stdout) as {
      checks: { name: string; status: string; fix?: string }[];
    };
    const probes = checks.filter(({ name }) => name.startsWith("mount-"));
    expect(probes.map(({ name }) => name)).toEqual([
      "mount-erofs-files",
      "mount-erofs-loop",
      "mount-fuse",
      "mount-nydusd",
      "mount-overlay",
      "mount-idmap",
      "mount-extract",
    ]);
    for (const { status, fix } of probes) if (status !== "ok") expect(fix).toBeDefined();
  });
});

async function isServing(command: RunningCommand): Promise<void> {
  await vi.waitFor(
    () => {
      expect(command.output().stderr).toContain("serving it from this process");
    },
    { timeout: 20_000 },
  );
}
