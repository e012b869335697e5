import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { readContainerLog } from "@longshore/runtime";
import { expect, test } from "vitest";
import { describeReal } from "./fixtures/describe-real.ts";
import { findMonitor } from "./fixtures/find-monitor.ts";
import { untilEnded } from "./fixtures/launch.ts";
import type { RealPlace } from "./fixtures/real-place.ts";
import { openRealRuntime } from "./fixtures/real-runtime.ts";

const count = 20;
const program = join(import.meta.dirname, "fixtures", "doomed-host.ts");

/** Has a host program start containers, and kills it. Resolves to their ids, in order. */
async function leaveContainers({ directory, images }: RealPlace): Promise<readonly string[]> {
  await mkdir(join(directory, "signals"));
  await mkdir(join(directory, "logs"));
  const child = spawn(
    process.execPath,
    [
      "--conditions=@longshore/source",
      "--no-warnings",
      program,
      directory,
      images.base,
      String(count),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value = "[]" } = await lines.next();
  child.kill("SIGKILL");
  await once(child, "exit");
  return JSON.parse(String(value)) as readonly string[];
}

async function linesOf(path: string, stream: "stdout" | "stderr"): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const entry of readContainerLog(path)) {
    if (entry.stream === stream) found.push(Buffer.from(entry.content).toString());
  }
  return found;
}

describeReal("a host program that is killed with 20 containers running", (place) => {
  test("leaves all of them to the next one, with exit codes and logs", async () => {
    const { directory } = place();
    const ids = await leaveContainers(place());
    expect(ids).toHaveLength(count);
    const idOf = (n: number): string => ids[n] ?? "";
    const tell = (n: number): Promise<void> => writeFile(join(directory, "signals", `${n}`), "");
    const log = (n: number): string => join(directory, "logs", `${n}.log`);

    // Five end while nobody is there to see it, and the monitor of one hangs.
    const unseen = [0, 1, 2, 3, 4];
    await Promise.all(unseen.map(tell));
    for (const n of unseen) await untilWritten(log(n), `end `);
    const hung = await findMonitor(idOf(19));
    process.kill(hung, "SIGSTOP");

    const startedMs = performance.now();
    await using real = await openRealRuntime(directory);
    const { runtime } = real;
    expect(performance.now() - startedMs).toBeLessThan(60_000);
    process.kill(hung, "SIGCONT");

    const listed = await runtime.listContainers();
    expect(listed.map(({ id }) => id).toSorted()).toEqual([...ids].toSorted());
    expect((await runtime.listPodSandbox()).map(({ state }) => state)).toEqual(
      Array.from({ length: count / 4 }, () => "ready"),
    );

    const seen = [5, 6, 7, 8, 9];
    for (const n of [...seen, 19]) {
      expect((await runtime.containerStatus({ containerId: idOf(n) })).status.state).toBe(
        "running",
      );
    }
    await Promise.all(seen.map(tell));
    for (const n of [...unseen, ...seen]) {
      const status = await untilEnded(runtime, idOf(n));
      expect(status).toMatchObject({ exitCode: n + 40, reason: "Error" });
      const [end] = await linesOf(log(n), "stderr");
      const numbers = await linesOf(log(n), "stdout");
      expect(numbers).toEqual(numbers.map((_, index) => String(index + 1)));
      expect(end).toBe(`end ${numbers.length}`);
    }

    const stopped = Array.from({ length: 10 }, (_, index) => index + 10);
    await Promise.all(
      stopped.map((n) => runtime.stopContainer({ containerId: idOf(n), timeout: 0 })),
    );
    for (const n of stopped) {
      expect(await untilEnded(runtime, idOf(n))).toMatchObject({ exitCode: 137 });
      const numbers = await linesOf(log(n), "stdout");
      expect(numbers.length).toBeGreaterThan(0);
      expect(numbers).toEqual(numbers.map((_, index) => String(index + 1)));
    }

    for (const { id } of await runtime.listPodSandbox()) {
      await runtime.removePodSandbox({ podSandboxId: id });
    }
    expect(await runtime.listContainers()).toEqual([]);
  });
});

async function untilWritten(path: string, text: string): Promise<void> {
  await expect
    .poll(() => readFile(path, "utf8"), { timeout: 30_000, interval: 20 })
    .toContain(text);
}
