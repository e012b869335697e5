import { stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { canRun, logText, openMachine } from "./fixtures/test-machine.ts";

const lines = process.env["LONGSHORE_TEST_SCALE"] === "full" ? 30_000_000 : 3_000_000;

describe.skipIf(!canRun)("logs of much output (needs root, runc and busybox)", () => {
  it(`keeps the last of ${lines} lines, in order, within its limits`, async () => {
    await using machine = await openMachine();
    const sandbox = await machine.prepare();
    const spec = await machine.containerSpec(["seq", "1", String(lines)]);
    const log = { path: spec.log?.path ?? "", maxBytes: 4_194_304, maxFiles: 4 };
    const container = await sandbox.start({ ...spec, log });
    expect(await container.exit).toMatchObject({ exitCode: 0 });
    let next: number | undefined;
    for (const path of [`${log.path}.3`, `${log.path}.2`, `${log.path}.1`, log.path]) {
      expect((await stat(path)).size).toBeLessThanOrEqual(log.maxBytes);
      for (const line of (await logText(path, "stdout")).split("\n").slice(0, -1)) {
        if (next !== undefined && Number(line) !== next) throw new Error(`${line} is not ${next}`);
        next = Number(line) + 1;
      }
    }
    expect(next).toBe(lines + 1);
    await container.remove();
  });
});
