import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BoundedOutput } from "../../core/src/command-job/bounded-output.ts";
import { onLine } from "../../core/src/command-job/output-lines.ts";
import { ProcessRunner, script } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

const mib = 1_048_576;

/** What is kept of bytes that arrive in pieces. */
function captured(bytes: Uint8Array, maxBytes: number, pieces: readonly number[] = []) {
  const stream = new PassThrough();
  const output = new BoundedOutput(stream, maxBytes);
  let start = 0;
  for (const size of [...pieces, bytes.length]) {
    stream.emit("data", Buffer.from(bytes.subarray(start, start + size)));
    start += size;
  }
  return output.capture();
}

describe("both streams", () => {
  test("are kept apart and whole", async () => {
    const { stdout, stderr } = await runner.succeed({ runtime: script("echo out; echo err >&2") });
    expect({ stdout, stderr }).toEqual({ stdout: "out\n", stderr: "err\n" });
  });

  test("F20: are read at the same time, whichever is written first", async () => {
    const { stdout, stderr } = await runner.succeed({
      runtime: {
        runtime: "python",
        cmd: ["chatty.py"],
        files: {
          "chatty.py": {
            content: `
import os
for _ in range(64):
    os.write(2, b"e" * 65536)
for _ in range(64):
    os.write(1, b"o" * 65536)
    os.write(2, b"e" * 65536)
`,
          },
        },
      },
    });
    expect(stdout?.length).toBe(4 * mib);
    expect(stderr?.length).toBe(8 * mib);
  });
});

describe("limits", () => {
  test("F5: 200 MB of output cost no more memory than the limit, and are counted", async () => {
    const before = process.memoryUsage();
    let peakBytes = 0;
    const timer = setInterval(() => {
      const { external, arrayBuffers, heapUsed } = process.memoryUsage();
      peakBytes = Math.max(peakBytes, external + arrayBuffers + heapUsed);
    }, 5);
    const outcome = await runner.succeed({
      runtime: script("head -c 200000000 /dev/zero | tr '\\0' x; printf tail >&2", {
        limits: { maxStdoutBytes: mib },
      }),
    });
    clearInterval(timer);
    expect(outcome).toMatchObject({
      stdoutTruncated: true,
      stdoutBytesTruncated: 200_000_000 - mib,
      stderr: "tail",
      stderrTruncated: false,
      stderrBytesTruncated: 0,
    });
    expect(outcome.stdout).toBe("x".repeat(mib));
    const grownBytes = peakBytes - before.external - before.arrayBuffers - before.heapUsed;
    expect(grownBytes).toBeLessThan(100 * mib);
  });

  test("do not end the process", async () => {
    const outcome = await runner.succeed({
      runtime: script(
        "head -c 5000 /dev/zero; head -c 7000 /dev/zero >&2; echo end > artifacts/f",
        {
          limits: { maxStdoutBytes: 10, maxStderrBytes: 0 },
          output: { format: "text", artifacts: ["f"] },
        },
      ),
    });
    expect(outcome).toMatchObject({
      stdout: "\0".repeat(10),
      stderr: "",
      stdoutBytesTruncated: 4_990,
      stderrBytesTruncated: 7_000,
    });
    expect(outcome.outputs?.artifacts).toHaveLength(1);
  });

  test("are the host's when the job has none", async () => {
    const { stdout, stderr } = await runner.succeed({
      runtime: script("printf 12345; printf 12345 >&2"),
      handler: { maxStdoutBytes: 3, maxStderrBytes: 2 },
    });
    expect({ stdout, stderr }).toEqual({ stdout: "123", stderr: "12" });
  });

  test.each(["maxStdoutBytes", "maxStderrBytes"] as const)(
    "F5: cannot be raised by a job above the host's %s",
    async (name) => {
      const { error, outcome } = await runner.run({
        runtime: script("echo started", { limits: { [name]: 10_485_761 } }),
      });
      expect(error).toMatchObject({
        code: "LIMIT_EXCEEDED",
        phase: "validation",
        details: { value: 10_485_761, maximum: 10_485_760 },
      });
      expect(outcome).toEqual({});
    },
  );

  test("keep a program that writes byte by byte within them", () => {
    const stream = new PassThrough();
    const output = new BoundedOutput(stream, 2 * mib);
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 2 * mib; index += 1) stream.emit("data", Buffer.from([120]));
    expect(output.capture().text.length).toBe(2 * mib);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * mib);
  });
});

describe("text", () => {
  test("F5: never cuts a character that comes in two pieces", async () => {
    // Pipes pass on pieces of at most 64 KiB: one byte before the ships, and each piece ends amid one.
    const { stdout } = await runner.succeed({
      runtime: {
        runtime: "python",
        cmd: ["-c", "import os; os.write(1, 'x'.encode() + '🚢'.encode() * 200_000)"],
      },
    });
    expect(stdout === `x${"🚢".repeat(200_000)}`).toBe(true);
  });

  test("F5: never cuts a character at the limit", async () => {
    const outcome = await runner.succeed({
      runtime: script("printf 'aé🚢'", { limits: { maxStdoutBytes: 5 } }),
    });
    expect(outcome).toMatchObject({
      stdout: "aé",
      stdoutTruncated: true,
      stdoutBytesTruncated: 4,
    });
  });

  test("shows bytes that are no UTF-8 as U+FFFD", async () => {
    const { stdout } = await runner.succeed({ runtime: script("printf 'a\\377b\\303'") });
    expect(stdout).toBe("a\u{FFFD}b\u{FFFD}");
  });

  test("is the longest whole beginning, however it arrives", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 60 }),
        fc.nat(150),
        fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 40 }),
        (text, maxBytes, pieces) => {
          const wellFormed = text.toWellFormed();
          const bytes = Buffer.from(wellFormed);
          const output = captured(bytes, maxBytes, pieces);
          expect(wellFormed.startsWith(output.text)).toBe(true);
          const keptBytes = Buffer.byteLength(output.text);
          expect(keptBytes).toBeLessThanOrEqual(maxBytes);
          expect(keptBytes + output.truncatedBytes).toBe(bytes.length);
          expect(output.isTruncated).toBe(bytes.length > maxBytes);
          if (!output.isTruncated) expect(output.text).toBe(wellFormed);
          else expect(maxBytes - keptBytes).toBeLessThan(4);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("of any bytes at all stays within the limit and adds up", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), (bytes, maxBytes) => {
        const output = captured(bytes, maxBytes);
        const kept = bytes.subarray(0, bytes.length - output.truncatedBytes);
        expect(kept.length).toBeLessThanOrEqual(maxBytes);
        expect(output.text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(kept));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the job's log", () => {
  function logOf(events: readonly { kind: string; message: string }[]): readonly string[] {
    return events.filter(({ kind }) => kind === "log").map(({ message }) => message);
  }

  test("gets the lines of both streams", async () => {
    const { events } = await runner.run({ runtime: script("echo one; echo; printf two >&2") });
    expect(logOf(events).toSorted()).toEqual(["one", "two"]);
    expect(events.find(({ message }) => message === "two")?.details).toEqual({ stream: "stderr" });
  });

  test("gets no data", async () => {
    const runtime = script("echo '{}'; echo note >&2", {
      output: { format: "json", artifacts: [] },
    });
    expect(logOf((await runner.run({ runtime })).events)).toEqual(["note"]);
  });

  test("gets nothing when the host wants that", async () => {
    const { events } = await runner.run({
      runtime: script("echo one; echo two >&2"),
      handler: { logOutput: "none" },
    });
    expect(logOf(events)).toEqual([]);
  });

  test("is cut where a line is very long", () => {
    const stream = new PassThrough();
    const lines: string[] = [];
    onLine(stream, (line) => lines.push(line));
    for (const chunk of ["a".repeat(5_000), "b".repeat(5_000), "\r\nnext\n", "last"]) {
      stream.emit("data", Buffer.from(chunk));
    }
    stream.emit("end");
    expect(lines).toEqual(["a".repeat(2_000), "next", "last"]);
  });

  test("is the same lines however they arrive", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom("a", "é", "🚢", "x"), maxLength: 10 })),
        fc.integer({ min: 1, max: 9 }),
        (lines, size) => {
          const stream = new PassThrough();
          const seen: string[] = [];
          onLine(stream, (line) => seen.push(line));
          const bytes = Buffer.from(lines.join("\n"));
          for (let start = 0; start < bytes.length; start += size) {
            stream.emit("data", bytes.subarray(start, start + size));
          }
          stream.emit("end");
          expect(seen).toEqual(lines.filter((line) => line !== ""));
        },
      ),
    );
  });
});

describe("the result's data", () => {
  async function dataOf(format: "text" | "json" | "yaml" | "jsonl", text: string) {
    const runtime = {
      cmd: ["printf", "%s", text],
      output: { format, artifacts: [] },
    };
    const { outcome, error } = await runner.run({ runtime });
    expect(outcome.stdout).toBe(text);
    if (error !== undefined) throw error;
    return outcome.data;
  }

  /** The data of a YAML output that is too long for an argument. */
  async function dataOfFile(content: string) {
    const { data } = await runner.succeed({
      runtime: {
        cmd: ["cat", "out"],
        files: { out: { content } },
        output: { format: "yaml", artifacts: [] },
      },
    });
    return data;
  }

  test("is absent for text", async () => {
    expect(await dataOf("text", "{}")).toBeUndefined();
  });

  test("is read from JSON", async () => {
    expect(await dataOf("json", ' {"a": [1, null]}\n')).toEqual({ a: [1, null] });
  });

  test("is read from YAML", async () => {
    expect(await dataOf("yaml", "a:\n  - 1\n  - yes\n")).toEqual({ a: [1, "yes"] });
  });

  test("is read from lines of JSON", async () => {
    expect(await dataOf("jsonl", '{"a":1}\r\n\n2\n')).toEqual([{ a: 1 }, 2]);
    expect(await dataOf("jsonl", "")).toEqual([]);
  });

  test.each([
    ["json", "{"],
    ["json", ""],
    ["json", "{} {}"],
    ["yaml", "a: [1"],
    ["jsonl", "{}\n{"],
    ["yaml", "a: 1\na: 2"],
    ["yaml", "a: 1\n---\na: 2"],
    ["yaml", "a: !!binary aGVsbG8="],
  ] as const)("fails the job when it is no %s: %j", async (format, text) => {
    await expect(dataOf(format, text)).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
      phase: "output",
      retryable: false,
    });
  });

  test("of a YAML bomb is refused", async () => {
    const bomb = Array.from({ length: 12 }, (_, index) => {
      const items = index === 0 ? "x" : Array.from({ length: 9 }, () => `*a${index - 1}`).join(",");
      return `a${index}: &a${index} [${items}]`;
    }).join("\n");
    await expect(dataOf("yaml", bomb)).rejects.toMatchObject({ phase: "output" });
  });

  test("is read from YAML with many keys without standing still", async () => {
    const text = Array.from({ length: 25_000 }, (_, index) => `k${index}: v\n`).join("");
    const startMs = performance.now();
    expect(Object.keys((await dataOfFile(text)) as object)).toHaveLength(25_000);
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  test("is not read from very long YAML", async () => {
    const runtime = script("yes -- '- a' | head -c 300000", {
      output: { format: "yaml", artifacts: [] },
    });
    const error = await runner.fail({ runtime });
    expect(error).toMatchObject({ code: "EXECUTION_ERROR", phase: "output", retryable: false });
    expect(error.message).toContain("more than 262144 characters");
  });

  test("is not read from output that is incomplete", async () => {
    const runtime = {
      cmd: ["printf", "%s", "12345"],
      output: { format: "json" as const, artifacts: [] },
      limits: { maxStdoutBytes: 3 },
    };
    const { outcome, error } = await runner.run({ runtime });
    expect(error).toMatchObject({ code: "EXECUTION_ERROR", phase: "output" });
    expect(error?.message).toContain("2 bytes over the limit");
    expect(outcome.data).toBeUndefined();
  });

  test("does not hide that the process failed", async () => {
    const runtime = script("echo '{'; exit 4", { output: { format: "json", artifacts: [] } });
    expect((await runner.fail({ runtime })).code).toBe("NON_ZERO_EXIT");
  });
});
