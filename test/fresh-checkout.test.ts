import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const execute = promisify(execFile);
const manifest = join(import.meta.dirname, "..", "package.json");

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-checkout-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("a checkout where nothing is installed yet", () => {
  it.each(["demo", "bench", "test:guest"])(
    "runs %s with the Node that the set-up brings",
    async (name) => {
      const { scripts } = JSON.parse(await readFile(manifest, "utf8")) as {
        readonly scripts: Readonly<Record<string, string>>;
      };
      const bin = join(directory, "bin");
      await mkdir(bin);
      await mkdir(join(directory, "scripts"));
      // As the set-up does: from then on there is another `node` where commands are looked for first.
      await writeFile(
        join(directory, "scripts", "setup.mjs"),
        `import { writeFileSync } from "node:fs";
       writeFileSync(${JSON.stringify(join(bin, "node"))}, '#!/bin/sh\\necho pinned "$@"\\n', { mode: 0o755 });`,
      );
      const { stdout } = await execute("sh", ["-c", scripts[name] ?? ""], {
        cwd: directory,
        env: { PATH: `${bin}:${dirname(process.execPath)}:/usr/bin:/bin` },
      });
      expect(stdout).toMatch(/^pinned .*\.ts/);
    },
  );

  it("has the command when it is set up", async () => {
    const root = dirname(manifest);
    const command = join(root, "node_modules", ".bin", "longshore");
    const { stdout } = await execute(command, ["--version"], {
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, NODE_DISABLE_COMPILE_CACHE: "1" },
    });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
