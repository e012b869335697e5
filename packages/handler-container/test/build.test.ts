import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { findCommand, LongshoreError, type JobRuntime } from "@longshore/core";
import { leakChecker } from "@longshore/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { BuiltImage } from "../src/index.ts";
import { ContainerRunner, script } from "./container-run.ts";

const run = promisify(execFile);
const isThere = async (command: string): Promise<boolean> =>
  (await findCommand(command, process.env["PATH"] ?? "")) !== undefined;
/** Where there is no buildah, BuildKit builds: its daemon must run, where BUILDKIT_HOST says. */
const hasBuilder = (await isThere("buildah")) || (await isThere("buildctl"));
const hasUmoci = await isThere("umoci");

let runner: ContainerRunner;
beforeAll(async () => {
  runner = await ContainerRunner.open();
});
afterEach(() => runner.assertNothingLeft());
afterAll(() => runner[Symbol.asyncDispose]());

const built: BuiltImage[] = [];

/** Unpacks a built image for the runtime of host processes. */
async function importImage(image: BuiltImage): Promise<string> {
  built.push(image);
  const name = `built-${built.length}`;
  const bundle = await mkdtemp(join(runner.root, "bundle-"));
  await run("umoci", ["raw", "unpack", "--image", `${image.directory}:latest`, join(bundle, "fs")]);
  await cp(join(bundle, "fs"), join(runner.temp.directory, "registry", name), { recursive: true });
  await rm(bundle, { recursive: true });
  return runner.temp.images.pullImage({ image: { image: name } });
}

function building(dockerfile: string, rest: Partial<JobRuntime> = {}, build: object = {}) {
  return { mode: "build" as const, image: undefined, build: { dockerfile, ...build }, ...rest };
}

describe("a job of mode build", () => {
  test.skipIf(!hasBuilder || !hasUmoci)("builds its image, and runs in it", async () => {
    const runtime = building(
      "FROM scratch\nARG WORD\nLABEL word=$WORD\nCOPY dir/ /data/\n",
      script('cat data/file; cat; echo "$0"', { input: { stdin: "none" } }),
      { context: { "dir/file": "from the context\n" }, args: { WORD: "spoken" } },
    );
    const outcome = await runner.succeed({ runtime, handler: { importImage } });
    expect(outcome.stdout).toBe("from the context\nsh\n");
    expect(built.at(-1)?.reference).toMatch(/^localhost\/longshore-build:[0-9a-f-]{36}\.[\d.]+$/);
  });

  test.skipIf(!hasBuilder)("hands over an image with what the Dockerfile says", async () => {
    let config = "";
    const error = await runner.fail({
      runtime: building('FROM scratch\nARG WORD\nLABEL word="$WORD"\nUSER 5\n', script("true"), {
        args: { WORD: "a b" },
        tag: "localhost/mine:1",
      }),
      handler: {
        async importImage({ directory, reference }) {
          expect(reference).toBe("localhost/mine:1");
          const read = async (digest: string): Promise<string> =>
            readFile(join(directory, "blobs", digest.replace(":", "/")), "utf8");
          const index = JSON.parse(await readFile(join(directory, "index.json"), "utf8"));
          const manifest = JSON.parse(await read(index.manifests[0].digest));
          config = await read(manifest.config.digest);
          throw new LongshoreError("IMAGE_NOT_FOUND", "seen enough");
        },
      },
    });
    expect(error.code).toBe("IMAGE_NOT_FOUND");
    expect(JSON.parse(config)).toMatchObject({ config: { Labels: { word: "a b" }, User: "5" } });
  });

  test.skipIf(!hasBuilder)("fails with what the builder printed", async () => {
    const error = await runner.fail({
      runtime: building("FROM scratch\nCOPY missing /\n", script("true")),
      handler: { importImage },
    });
    expect(error).toMatchObject({ code: "EXECUTION_ERROR", phase: "build", retryable: false });
    expect(String(error.details?.["output"])).toContain("missing");
  });

  test.skipIf(!hasBuilder)("ends its builder when it is told to end", async () => {
    const stop = new AbortController();
    const checker = await leakChecker({ marks: [], roots: [runner.root] });
    const { error } = await runner.run({
      runtime: building("FROM scratch\nCOPY . /\n", script("true")),
      signal: stop.signal,
      handler: { importImage },
      onEvent: ({ phase }) => {
        if (phase === "image_build") stop.abort(new LongshoreError("TIMEOUT", "too long"));
      },
    });
    expect(error?.code).toBe("TIMEOUT");
    await checker.check();
  });

  test("begins with no image that is not let in, also in a later stage", async () => {
    for (const dockerfile of [
      "FROM other\n",
      "FROM base\nCOPY --from=other /x /x\n",
      "FROM base AS one\nFROM other\nCOPY --from=one /x /x\n",
    ]) {
      const error = await runner.fail({
        runtime: building(dockerfile, script("true")),
        handler: { importImage },
      });
      expect(error).toMatchObject({ code: "IMAGE_NOT_ALLOWED", details: { image: "other" } });
    }
  });

  test("takes no name that another image may have", async () => {
    for (const tag of ["alpine", "docker.io/library/base:latest", "registry.example/x"]) {
      const error = await runner.fail({
        runtime: building("FROM scratch\n", script("true"), { tag }),
        handler: { importImage },
      });
      expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    }
  });

  test("is refused where no builder is, and both are named", async () => {
    const directory = join(runner.root, "empty");
    await mkdir(directory, { recursive: true });
    const path = process.env["PATH"];
    process.env["PATH"] = directory;
    try {
      const error = await runner.fail({
        runtime: building("FROM scratch\n", script("true")),
        handler: { importImage },
      });
      expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
      expect(error.message).toMatch(/buildah.*BuildKit/);
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("is refused where built images cannot be taken in", async () => {
    const error = await runner.fail({ runtime: building("FROM scratch\n", script("true")) });
    expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
  });

  test.each([
    [{ dockerfile: 5 }],
    [{ dockerfile: "FROM scratch\n", context: { a: 5 } }],
    [{ dockerfile: "FROM scratch\n", context: { "../x": "" } }],
    [{ dockerfile: "FROM scratch\n", args: { "A=B": "" } }],
    [{ dockerfile: "FROM scratch\n", tag: "-x" }],
  ])("is refused with %j", async (build) => {
    const error = await runner.fail({
      runtime: { ...script("true"), mode: "build", image: undefined, build },
      handler: { importImage },
    });
    expect(error.code).toBe("VALIDATION_ERROR");
  });
});
