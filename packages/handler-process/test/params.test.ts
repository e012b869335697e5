import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flatten, formatDotenv } from "../../core/src/command-job/dotenv.ts";
import { ProcessRunner, script } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

const data = { b: 'it\'s\n"two" lines', a: { y: [true, null], x: 1.5 } };
const dotenv = "a.x='1.5'\na.y.0='true'\na.y.1=''\nb='it'\\''s\n\"two\" lines'\n";

describe("parameters by standard input", () => {
  const cat = { cmd: ["cat"] };

  test("are one line of JSON", async () => {
    const params = { delivery: "stdin", format: "json" } as const;
    const { stdout } = await runner.succeed({ runtime: { ...cat, params }, data });
    expect(stdout).toBe(`${JSON.stringify(data)}\n`);
  });

  test("are YAML", async () => {
    const params = { delivery: "stdin", format: "yaml" } as const;
    const { stdout = "" } = await runner.succeed({ runtime: { ...cat, params }, data });
    expect(parse(stdout)).toEqual(data);
  });

  test("are lines of KEY='v', sorted, nested ones dotted", async () => {
    const params = { delivery: "stdin", format: "dotenv" } as const;
    const { stdout } = await runner.succeed({ runtime: { ...cat, params }, data });
    expect(stdout).toBe(dotenv);
  });

  test("take the place of the payload there", async () => {
    const runtime = {
      ...cat,
      params: { delivery: "stdin", format: "json" },
      input: { stdin: "payload" },
    } as const;
    expect((await runner.succeed({ runtime, data: { a: 1 } })).stdout).toBe('{"a":1}\n');
  });

  test("are refused together with the whole job", async () => {
    const runtime = {
      ...cat,
      params: { delivery: "stdin", format: "json" },
      input: { stdin: "job" },
    } as const;
    expect((await runner.fail({ runtime, data })).code).toBe("VALIDATION_ERROR");
  });
});

describe("parameters by file", () => {
  test.each(["json", "yaml", "dotenv"] as const)("are %s only the job can read", async (format) => {
    const { stdout = "" } = await runner.succeed({
      runtime: script('stat -c %a "$WORKER_PARAMS_FILE"; cat "$WORKER_PARAMS_FILE"; cat', {
        params: { delivery: "file", format },
      }),
      data,
    });
    expect(stdout.slice(0, 4)).toBe("400\n");
    const text = stdout.slice(4);
    if (format === "dotenv") expect(text).toBe(dotenv);
    else expect(parse(text)).toEqual(data);
  });

  test("leave standard input to what the job wants there", async () => {
    const { stdout = "" } = await runner.succeed({
      runtime: {
        cmd: ["cat"],
        params: { delivery: "file", format: "json" },
        input: { stdin: "payload" },
      },
      data,
    });
    expect(JSON.parse(stdout)).toMatchObject({ payload: { data } });
  });

  test("cannot be in the way of the job's own files", async () => {
    const { stdout } = await runner.succeed({
      runtime: script("cat .params.json", {
        params: { delivery: "file", format: "json" },
        files: { ".params.json": { content: "own" } },
      }),
      data,
    });
    expect(stdout).toBe("own");
  });
});

describe("parameters by environment", () => {
  test("are one variable each for dotenv", async () => {
    const { stdout } = await runner.succeed({
      runtime: script('printf "%s|" "$WORKER_PARAM_A_X" "$WORKER_PARAM_A_Y_0" "$WORKER_PARAM_B"', {
        params: { delivery: "env", format: "dotenv" },
      }),
      data,
    });
    expect(stdout).toBe(`1.5|true|${data.b}|`);
  });

  test("are one document otherwise", async () => {
    const { stdout = "" } = await runner.succeed({
      runtime: script('printf "%s" "$WORKER_PARAMS"', {
        params: { delivery: "env", format: "json" },
      }),
      data,
    });
    expect(JSON.parse(stdout)).toEqual(data);
  });

  test("cannot name a variable that means something", async () => {
    const { stdout } = await runner.succeed({
      runtime: script('printf "%s|%s" "$LD_PRELOAD" "$WORKER_PARAM_LD_PRELOAD"', {
        params: { delivery: "env", format: "dotenv" },
      }),
      data: { LD_PRELOAD: "evil.so" },
    });
    expect(stdout).toBe("|evil.so");
  });

  test("are refused when two would have one name", async () => {
    const error = await runner.fail({
      runtime: { cmd: ["true"], params: { delivery: "env", format: "dotenv" } },
      data: { "a-b": 1, a: { b: 2 } },
    });
    expect(error.code).toBe("VALIDATION_ERROR");
  });

  test("are refused when they do not fit", async () => {
    const error = await runner.fail({
      runtime: { cmd: ["true"], params: { delivery: "env", format: "json" } },
      data: { a: "x".repeat(200_000) },
    });
    expect(error).toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(error.message).toContain("by file");
  });
});

describe("dotenv", () => {
  const directory = mkdtempSync(join(tmpdir(), "longshore-dotenv-"));
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  /** The variables that a real shell has after it has read the text. */
  function readByShell(text: string): Record<string, string> {
    const file = join(directory, "params.env");
    writeFileSync(file, text);
    const output = execFileSync(
      "sh",
      ["-c", 'set -a; . "$1"; shift; exec "$@"', "sh", file, "env", "-0"],
      {
        env: { PATH: "/usr/bin:/bin" },
        encoding: "utf8",
      },
    );
    return Object.fromEntries(
      output
        .split("\0")
        .filter((entry) => entry.startsWith("P_"))
        .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
    );
  }

  test("survives a real shell, whatever is in the values", () => {
    const name = fc
      .string({ unit: fc.constantFrom("A", "b", "_", "7"), minLength: 1, maxLength: 6 })
      .map((text) => `P_${text}`);
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({
        unit: fc.constantFrom("'", '"', "\\", "\n", "$", "`", "(", " ", "\r", "#", "!"),
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(name, value, { noNullPrototype: true, maxKeys: 8 }), (values) => {
        const clean = Object.fromEntries(
          Object.entries(values).map(([key, text]) => [
            key,
            text.toWellFormed().replaceAll("\0", ""),
          ]),
        );
        expect(readByShell(formatDotenv(clean))).toEqual(clean);
      }),
      { numRuns: 60 },
    );
  });

  test.each(["a b", "a=b", "a;id", "$(id)", "`id`", "a\nb", "", "é", "a'b"])(
    "refuses the name %j, which a shell would run",
    (name) => {
      expect(() => formatDotenv({ [name]: "x" })).toThrow(
        expect.objectContaining({ code: "VALIDATION_ERROR" }),
      );
    },
  );

  test.each([[null], ["text"], [1], [{ a: "x\0y" }], [{ "a.b": 1, a: { b: 2 } }]])(
    "refuses the data %j",
    (value) => {
      expect(() => flatten(value)).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
    },
  );

  test("is empty for an empty object", () => {
    expect(formatDotenv({})).toBe("");
  });
});
