import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const program = fileURLToPath(new URL("million-inodes.ts", import.meta.url));

it("writes an image of a million inodes in less than 250 MB beyond its tree, and reads it back", () => {
  const child = spawnSync(
    process.execPath,
    [
      "--expose-gc",
      "--conditions=@longshore/source",
      "--disable-warning=ExperimentalWarning",
      program,
    ],
    { encoding: "utf8" },
  );

  expect(child.stderr).toBe("");
  const { inodes, treeMb, peakMb } = JSON.parse(child.stdout);
  expect(inodes).toBeGreaterThan(1_000_000);
  expect(peakMb - treeMb).toBeLessThan(250);
});
