import {
  appendFile,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  criLogWriter,
  readContainerLog,
  type LogEntry,
  type ReadLogOptions,
} from "../src/index.ts";

interface TempLog extends AsyncDisposable {
  readonly path: string;
}

async function tempLog(): Promise<TempLog> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-log-"));
  return {
    path: join(directory, "c.log"),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

async function read(path: string, options?: ReadLogOptions): Promise<readonly LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of readContainerLog(path, options)) entries.push(entry);
  return entries;
}

function text(entries: readonly LogEntry[], stream?: LogEntry["stream"]): string {
  return entries
    .filter((entry) => stream === undefined || entry.stream === stream)
    .map(
      ({ content, isPartial }) => Buffer.from(content).toString("latin1") + (isPartial ? "" : "\n"),
    )
    .join("");
}

const time = (seconds: number): string =>
  `2026-11-21T03:23:${String(seconds).padStart(2, "0")}.000000001Z`;

/** What a process may print, in pieces, and when the log is rotated from outside. */
const output = fc.array(
  fc.record({
    stream: fc.constantFrom("stdout" as const, "stderr" as const),
    chunk: fc.oneof(
      fc.string({ unit: "binary-ascii", maxLength: 40 }),
      fc.constantFrom("\n", "\n\n", "no end", "x".repeat(20_000), `${"y".repeat(16_384)}\n`),
    ),
    isRotated: fc.boolean(),
  }),
  { maxLength: 30 },
);

describe("a container's log", () => {
  it("gives back every byte that was written, in order, through any rotation", async () => {
    await fc.assert(
      fc.asyncProperty(output, async (pieces) => {
        await using log = await tempLog();
        const writer = await criLogWriter({ path: log.path });
        let rotations = 0;
        const stop = Promise.withResolvers<void>();
        const followed = read(log.path, { follow: true, until: stop.promise });
        for (const { stream, chunk, isRotated } of pieces) {
          await writer.write(stream, Buffer.from(chunk, "latin1"));
          if (!isRotated) continue;
          for (let number = rotations; number > 0; number -= 1) {
            await rename(`${log.path}.${number}`, `${log.path}.${number + 1}`);
          }
          await rename(log.path, `${log.path}.1`);
          rotations += 1;
          await writer.reopen();
        }
        for (const stream of ["stdout", "stderr"] as const) await writer.end(stream);
        await writer[Symbol.asyncDispose]();
        stop.resolve();
        const all = await read(log.path);
        for (const stream of ["stdout", "stderr"] as const) {
          const written = pieces
            .filter((piece) => piece.stream === stream)
            .map(({ chunk }) => chunk)
            .join("");
          const isWhole = written === "" || written.endsWith("\n");
          const expected = isWhole ? written : `${written}\n`;
          expect(text(all, stream)).toBe(expected);
          expect(text(await followed, stream)).toBe(expected);
        }
        const times = all.map(({ timestamp }) => timestamp);
        expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
        for (const { content } of all) expect(content.length).toBeLessThanOrEqual(16_384);
      }),
      { numRuns: 100 },
    );
  });

  it("keeps its files below a size, and the newest of them", async () => {
    await using log = await tempLog();
    await using writer = await criLogWriter({ path: log.path, maxBytes: 1_000, maxFiles: 3 });
    for (let index = 0; index < 100; index += 1) {
      await writer.write("stdout", Buffer.from(`line ${index}\n`));
    }
    for (const path of [log.path, `${log.path}.1`, `${log.path}.2`]) {
      expect((await readFile(path)).length).toBeLessThanOrEqual(1_000);
    }
    await expect(readFile(`${log.path}.3`)).rejects.toMatchObject({ code: "ENOENT" });
    await using alone = await tempLog();
    await using only = await criLogWriter({ path: alone.path, maxBytes: 1_000, maxFiles: 1 });
    for (let index = 0; index < 100; index += 1) {
      await only.write("stdout", Buffer.from(`line ${index}\n`));
    }
    expect(await readdir(dirname(alone.path))).toEqual([basename(alone.path)]);
    const entries = await read(log.path);
    expect(text(entries).endsWith("line 98\nline 99\n")).toBe(true);
    expect(entries.length).toBeGreaterThan(40);
  });

  it("follows a log that does not exist yet, over its rotation, to the end of its container", async () => {
    await using log = await tempLog();
    const ended = Promise.withResolvers<void>();
    const lines: string[] = [];
    const reading = (async () => {
      for await (const entry of readContainerLog(log.path, {
        follow: true,
        until: ended.promise,
      })) {
        lines.push(Buffer.from(entry.content).toString());
      }
    })();
    const writer = await criLogWriter({ path: log.path, maxBytes: 200, maxFiles: 50 });
    for (let index = 0; index < 50; index += 1) {
      await writer.write("stdout", Buffer.from(`${index}\n`));
    }
    await writer[Symbol.asyncDispose]();
    ended.resolve();
    await reading;
    expect(lines).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
  });

  it("ends at once when a reading that waits is aborted", async () => {
    await using log = await tempLog();
    await writeFile(log.path, `${time(1)} stdout F one\n`);
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const { content } of readContainerLog(log.path, {
      follow: true,
      signal: stop.signal,
    })) {
      seen.push(Buffer.from(content).toString());
      queueMicrotask(() => stop.abort());
    }
    expect(seen).toEqual(["one"]);
  });

  it("gives the last lines, with all their parts, over rotated files", async () => {
    await using log = await tempLog();
    await writeFile(`${log.path}.1`, `${time(1)} stdout F a\n${time(2)} stdout P b1-\n`);
    await writeFile(log.path, `${time(3)} stdout F b2\n${time(4)} stderr F c\n`);
    expect(text(await read(log.path, { tailLines: 0 }))).toBe("");
    expect(text(await read(log.path, { tailLines: 1 }))).toBe("c\n");
    expect(text(await read(log.path, { tailLines: 2 }))).toContain("b2\nc\n");
    expect(text(await read(log.path, { tailLines: 3 }))).toBe("a\nb1-b2\nc\n");
    expect(text(await read(log.path, { tailLines: 99 }))).toBe("a\nb1-b2\nc\n");
  });

  it("gives the last lines of any log", async () => {
    const lines = fc.array(fc.tuple(fc.boolean(), fc.nat(3_000)), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(lines, fc.nat(70), async (shapes, tailLines) => {
        await using log = await tempLog();
        const rows = shapes.map(
          ([isPart, length], index) =>
            `${time(1)} stdout ${isPart ? "P" : "F"} ${index}:${"z".repeat(length)}\n`,
        );
        await writeFile(log.path, rows.join(""));
        const all = await read(log.path);
        const whole = all.flatMap(({ isPartial }, index) => (isPartial ? [] : [index]));
        const before = whole.at(-tailLines - 1) ?? -1;
        const from = tailLines >= whole.length ? 0 : before + 1;
        const got = await read(log.path, { tailLines });
        expect(text(got)).toBe(text(all.slice(from)));
      }),
      { numRuns: 100 },
    );
  });

  it("gives what is not older, with times when asked", async () => {
    await using log = await tempLog();
    const content = `${time(1)} stdout F one\n${time(5)} stdout P two\n${time(6)} stdout F !\n`;
    await writeFile(log.path, content);
    const [first] = await read(log.path);
    const since = (first?.timestamp ?? 0n) + 1n;
    expect(text(await read(log.path, { since }))).toBe("two!\n");
    expect(text(await read(log.path, { since, timestamps: true }))).toBe(`${time(5)} two!\n`);
  });

  it("follows over two rotations at a time, though nothing was written after the second", async () => {
    await using log = await tempLog();
    const line = (second: number, content: string): string =>
      `${time(second)} stdout F ${content}\n`;
    for (const isOver of [false, true]) {
      await writeFile(log.path, line(1, "first"));
      const stop = Promise.withResolvers<void>();
      const entries = readContainerLog(log.path, { follow: true, until: stop.promise });
      const reader = entries[Symbol.asyncIterator]();
      expect(text([(await reader.next()).value as LogEntry])).toBe("first\n");
      // It looks at nothing until it is asked for more.
      await rename(log.path, `${log.path}.2`);
      await writeFile(`${log.path}.1`, line(2, "second"));
      await writeFile(log.path, "");
      if (isOver) stop.resolve();
      expect(text([(await reader.next()).value as LogEntry])).toBe("second\n");
      stop.resolve();
      expect(await reader.next()).toMatchObject({ done: true });
      for (const end of ["", ".1", ".2"]) await rm(`${log.path}${end}`);
    }
  });

  it("reads times of other zones and precisions", async () => {
    await using log = await tempLog();
    await writeFile(
      log.path,
      "2026-01-01T00:00:00Z stdout F a\n2026-01-01T01:00:00.5+01:00 stderr F:tag b\n",
    );
    const [a, b] = await read(log.path);
    expect((b?.timestamp ?? 0n) - (a?.timestamp ?? 0n)).toBe(500_000_000n);
  });

  it("passes over what is no entry: cut lines, noise, lines without end", async () => {
    await using log = await tempLog();
    await writeFile(log.path, `2026-11-21T03:2\n\n{}\n${"q".repeat(3_000_000)}\n`);
    await appendFile(log.path, `${time(1)} stdout F kept\n${time(2)} stdout F\n${time(3)} stdo`);
    expect(text(await read(log.path))).toBe("kept\n\n");
  });

  it("does not follow a link, and says when there is nothing", async () => {
    await using log = await tempLog();
    await expect(read(log.path)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await symlink("/etc/passwd", log.path);
    await expect(read(log.path)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(criLogWriter({ path: log.path })).rejects.toMatchObject({ code: "ELOOP" });
    await expect(read("/no/such/directory/log", { follow: true })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await expect(read(log.path, { tailLines: -1 })).rejects.toThrow(RangeError);
  });
});
