import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  record,
  uint8Array,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { outputEvents, outputLines } from "../../src/runtime/output-events.ts";
import { outputFlow } from "../../src/runtime/output-flow.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Pieces that come some turns of the event loop apart. */
async function* source(
  pieces: readonly { readonly data: Uint8Array; readonly turns: number }[],
): AsyncGenerator<Uint8Array, undefined> {
  for (const { data, turns } of pieces) {
    for (let left = turns; left > 0; left -= 1) await turn();
    yield data;
  }
}

const texts = array(constantFrom("a", "é", "€", "😀", "\n", "\r\n", "x y"), { maxLength: 30 });

function cut(text: string, sizes: readonly number[]): { data: Uint8Array; turns: number }[] {
  const bytes = Buffer.from(text);
  const pieces = [];
  for (let start = 0, index = 0; start < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    pieces.push({ data: bytes.subarray(start, start + size), turns: size % 3 });
    start += size;
  }
  return pieces;
}

describe("outputEvents", () => {
  it("hands out both outputs whole and in order, however they come and however slow the reader is", async () => {
    const sizes = array(integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    await assert(
      asyncProperty(texts, texts, sizes, async (out, err, pieces) => {
        const got = { stdout: "", stderr: "" };
        const outputs = {
          stdout: source(cut(out.join(""), pieces)),
          stderr: source(cut(err.join(""), pieces.toReversed())),
        };
        for await (const { stream, data } of outputEvents(outputs)) {
          expect(data).not.toContain("\ufffd");
          got[stream] += data;
          if (data.length % 2 === 0) await turn();
        }
        expect(got).toEqual({ stdout: out.join(""), stderr: err.join("") });
      }),
    );
  });

  it("splits into lines as a reader of the whole text would", async () => {
    const sizes = array(integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    await assert(
      asyncProperty(texts, sizes, async (out, pieces) => {
        const text = out.join("");
        const lines = [];
        const outputs = { stdout: source(cut(text, pieces)), stderr: source([]) };
        for await (const { line } of outputLines(outputs)) lines.push(line);
        const expected = text.split(/\r?\n/);
        if (expected.at(-1) === "") expected.pop();
        expect(lines).toEqual(expected);
      }),
    );
  });

  it("hands out a line without an end in pieces", async () => {
    const endless = [{ data: Buffer.alloc(2_500_000, "x"), turns: 0 }];
    const lengths = [];
    const outputs = { stdout: source(endless), stderr: source([]) };
    for await (const { line } of outputLines(outputs)) lengths.push(line.length);
    expect(lengths).toEqual([1_048_576, 1_048_576, 402_848]);
  });

  it("asks no output for more than one piece ahead", async () => {
    const asked = { stdout: 0, stderr: 0 };
    const counting = (name: keyof typeof asked): AsyncIterable<Uint8Array> => ({
      [Symbol.asyncIterator]: () => ({
        async next() {
          asked[name] += 1;
          return { done: false, value: Buffer.from("x") };
        },
      }),
    });
    let seen = 0;
    const outputs = { stdout: counting("stdout"), stderr: counting("stderr") };
    for await (const _event of outputEvents(outputs)) {
      seen += 1;
      for (let left = 5; left > 0; left -= 1) await turn();
      expect(asked.stdout + asked.stderr).toBeLessThanOrEqual(seen + 1);
      if (seen === 50) break;
    }
  });
});

describe("outputFlow", () => {
  it("shows every byte once and in order, to a reader that leaves at any moment and to whoever looks", async () => {
    const pieces = array(
      record({ data: uint8Array({ maxLength: 5 }), turns: integer({ min: 0, max: 2 }) }),
    );
    await assert(
      asyncProperty(pieces, integer({ min: 0, max: 20 }), async (all, leaveAfter) => {
        const looked: Uint8Array[] = [];
        const flow = outputFlow(Promise.resolve(source(all)), {
          name: "stdout",
          failure: () => undefined,
          isGivenUp: () => false,
          look: (chunk) => void (chunk !== undefined && looked.push(chunk)),
        });
        const read: Uint8Array[] = [];
        for await (const chunk of flow) {
          read.push(chunk);
          if (read.length > leaveAfter) break;
        }
        await flow.ended;
        expect(Buffer.concat(looked)).toEqual(Buffer.concat(all.map(({ data }) => data)));
        expect(read).toEqual(looked.slice(0, read.length));
        if (read.length <= leaveAfter) expect(read).toEqual(looked);
      }),
    );
  });
});
