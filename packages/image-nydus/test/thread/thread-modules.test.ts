import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

/** A program that tells, one in each line, which modules another one loads that are not Node's own. */
const listModules = `
  const { registerHooks } = require("node:module");
  const load = (url, context, next) => { if (!url.startsWith("node:")) console.log(url); return next(url, context); };
  registerHooks({ load });
  void import(process.argv[1]);
`;

// A thread starts for each image that is pulled or mounted by FUSE: all of core's index takes it a third of a second.
it.each(["store/convert-thread.ts", "fuse/fuse-thread.ts"])(
  "src/%s loads of other packages only core's errors and files",
  async (path) => {
    const thread = new URL(`../../src/${path}`, import.meta.url).href;
    const words = ["--no-warnings", "--conditions=@longshore/source", "-e", listModules, thread];
    const { stdout } = await promisify(execFile)(process.execPath, words);
    const loaded = stdout.trim().split("\n");
    expect(loaded).toContain(thread);
    const others = loaded.filter((url) => !url.includes("/packages/image-nydus/src/"));
    expect(others.filter((url) => !/\/packages\/core\/src\/(errors|files)[./]/.test(url))).toEqual(
      [],
    );
    expect(others).not.toEqual([]);
  },
);
