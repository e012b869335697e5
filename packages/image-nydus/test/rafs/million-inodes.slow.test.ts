import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const count = isFull ? 1_000_000 : 200_000;
const mostMb = isFull ? 250 : 160;
const program = fileURLToPath(new URL("million-inodes.ts", import.meta.url));

it(`writes an image of ${count} inodes in less than ${mostMb} MB beyond its tree, and reads it back`, () => {
  const child = spawnSync(
    process.execPath,
    [
      "--expose-gc",
      "--conditions=@longshore/source",
      "--disable-warning=ExperimentalWarning",
      program,
      String(count),
    ],
    { encoding: "utf8" },
  );

  expect(child.stderr).toBe("");
  const { inodes, treeMb, peakMb } = JSON.parse(child.stdout);
  expect(inodes).toBeGreaterThan(count);
  expect(peakMb - treeMb).toBeLessThan(mostMb);
});
