import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { CommandError, type RuntimeClient, type SandboxProcess } from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import { spawnProcess } from "../../src/runtime/spawn-process.ts";
import { isRunning, node, openBase, toArray } from "./open-base.ts";

/** Prints a line, then waits for ever. */
const server = node('console.log("up"); setInterval(() => {}, 1000)');

/** Never gets beyond the start; `exec` says when it is there. */
function stuckStart(runtime: RuntimeClient, isThere: () => void): RuntimeClient {
  return {
    ...runtime,
    async exec(_request, { signal } = {}) {
      isThere();
      if (signal === undefined) throw new Error("a start must be abortable");
      if (!signal.aborted) await once(signal, "abort");
      throw signal.reason;
    },
  };
}

describe("a process handle", () => {
  it("gives its result when awaited, and again", async () => {
    await using host = await openBase();
    const echo = host.sandbox.spawn(["echo", "hello"]);
    expect(await echo).toMatchObject({ exitCode: 0, stdout: "hello\n" });
    expect(await echo).toMatchObject({ exitCode: 0, stdout: "hello\n" });
    expect(echo.command).toEqual(["echo", "hello"]);
  });

  it("is given as its result by an async function: what returns it must wrap it", async () => {
    await using host = await openBase();
    const unwrapped = async (): Promise<unknown> => host.sandbox.spawn(["echo", "a"]);
    const wrapped = async (): Promise<{ readonly server: SandboxProcess }> => ({
      server: host.sandbox.spawn(["echo", "a"]),
    });
    expect(await unwrapped()).toMatchObject({ stdout: "a\n" });
    expect((await wrapped()).server.kill).toBeTypeOf("function");
  });

  it("hands out both outputs as they come, and has them in its result as well", async () => {
    await using host = await openBase();
    const program = 'console.log("a"); console.error("b"); console.log("c"); process.exitCode = 4';
    const running = host.sandbox.spawn(node(program));
    const got = { stdout: "", stderr: "" };
    for await (const { stream, data } of running) got[stream] += data;
    expect(got).toEqual({ stdout: "a\nc\n", stderr: "b\n" });
    expect(await running).toMatchObject({ exitCode: 4, ...got });
  });

  it("can be iterated although run collects by itself", async () => {
    await using host = await openBase();
    const lines = [];
    for await (const { line } of host.sandbox.run(["printf", "a\\nb"]).lines()) lines.push(line);
    expect(lines).toEqual(["a", "b"]);
  });

  it("is awaited and iterated at the same time", async () => {
    await using host = await openBase();
    const running = host.sandbox.spawn(["seq", "20000"]);
    const [result, lines] = await Promise.all([running, toArray(running.lines())]);
    expect(lines).toHaveLength(20_000);
    expect(result.stdout.trimEnd().split("\n")).toEqual(lines.map(({ line }) => line));
  });

  it("gives one output to a reader and collects the other", async () => {
    await using host = await openBase();
    const running = host.sandbox.spawn(node('console.log("out"); console.error("err")'));
    expect(await text(running.stdout)).toBe("out\n");
    expect(await running).toMatchObject({ stdout: "out\n", stderr: "err\n" });
  });

  it("makes the process wait for a slow reader, and drops nothing", async () => {
    await using host = await openBase();
    // Says how far it has come where nobody waits: in the length of a file.
    const program = `
      const fs = require("fs");
      fs.writeFileSync("pid", String(process.pid));
      for (let i = 0; i < 64; i++) {
        for (let left = 1048576; left > 0;) {
          try { left -= fs.writeSync(1, Buffer.alloc(left, 65 + i % 26)); } catch (e) { if (e.code !== "EAGAIN") throw e; }
        }
        fs.appendFileSync("progress", ".");
      }`;
    const running = host.sandbox.spawn(node(program));
    let seenBytes = 0;
    let hasWaited = false;
    for await (const chunk of running.stdout) {
      const piece = Math.floor(seenBytes / 1_048_576);
      expect(chunk[0]).toBe(65 + (piece % 26));
      seenBytes += chunk.length;
      if (hasWaited || seenBytes < 3_000_000) continue;
      hasWaited = true;
      // Whatever can be written without the reader has been once the process sleeps in write().
      const pid = await host.sandbox.files.readText(host.at("pid"));
      await vi.waitFor(
        async () => {
          expect(await readFile(`/proc/${pid}/stat`, "utf8")).toMatch(/\) S /);
        },
        { timeout: 20_000 },
      );
      const progress = (await host.sandbox.files.stat(host.at("progress")))?.size ?? 0;
      expect(progress).toBeLessThan(8);
    }
    expect(seenBytes).toBe(64 * 1_048_576);
    expect(await running).toMatchObject({ exitCode: 0, stdoutTruncated: true });
  });

  it("lets the process go on when its reader leaves, and keeps the rest for the result", async () => {
    await using host = await openBase();
    const running = host.sandbox.spawn(["seq", "300000"]);
    for await (const { data } of running) {
      expect(data).toMatch(/^1\n/);
      break;
    }
    const { exitCode, stdout } = await running;
    expect(exitCode).toBe(0);
    expect(stdout.endsWith("\n300000\n")).toBe(true);
  });

  it("has one reader for each output, who begins before it is awaited", async () => {
    await using host = await openBase();
    const twice = host.sandbox.spawn(["echo", "a"]);
    const first = text(twice.stdout);
    expect(() => twice.lines()).toThrow(/stdout is being read already/);
    expect(() => twice[Symbol.asyncIterator]()).toThrow(TypeError);
    expect(await first).toBe("a\n");
    const half = host.sandbox.spawn(["echo", "a"]);
    const other = text(half.stderr);
    expect(() => half.lines()).toThrow(/stderr is being read already/);
    expect(await other).toBe("");
    expect(await half).toMatchObject({ stdout: "a\n" });
    const late = host.sandbox.spawn(["echo", "a"]);
    await late;
    await expect(text(late.stderr)).rejects.toThrow(TypeError);
  });

  it("leaves nobody with an unhandled rejection", async () => {
    await using host = await openBase();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const missing = host.sandbox.spawn(["no-such-program"]);
      const killed = host.sandbox.spawn(["sleep", "1000"], { timeoutMs: 50 });
      await Promise.allSettled([missing.exit, killed.exit]);
      for (let left = 5; left > 0; left -= 1) await new Promise((done) => setImmediate(done));
      expect(unhandled).toEqual([]);
      await expect(missing.started).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
      await expect(missing).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
      await expect(killed).rejects.toMatchObject({ code: "TIMEOUT" });
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("orThrow", () => {
  it("gives the result of a command that succeeded", async () => {
    await using host = await openBase();
    expect((await host.sandbox.run(["echo", "fine"]).orThrow()).stdout).toBe("fine\n");
  });

  it("rejects with the exit code and the ends of both outputs", async () => {
    await using host = await openBase();
    const program =
      'process.stdout.write("é".repeat(9000)); console.error("first\\nlast words"); process.exitCode = 3';
    const error = await host.sandbox
      .run([...node(program), "secret"])
      .orThrow()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({
      name: "CommandError",
      code: "NON_ZERO_EXIT",
      exitCode: 3,
      signal: undefined,
      stdoutTail: "é".repeat(2_048),
      stderrTail: "first\nlast words\n",
      retryable: false,
    });
    const { message, details, command } = error as CommandError;
    expect(message).toBe(`"${process.execPath}" ended with exit code 3: last words`);
    expect(JSON.stringify(details)).not.toContain("secret");
    expect(command.at(-1)).toBe("secret");
  });

  it("names the signal", async () => {
    await using host = await openBase();
    const sleeper = host.sandbox.spawn(["sleep", "1000"]);
    await sleeper.kill("SIGTERM");
    await expect(sleeper.orThrow()).rejects.toMatchObject({
      exitCode: 143,
      signal: "SIGTERM",
      message: '"sleep" ended with SIGTERM.',
    });
  });
});

describe("callbacks", () => {
  it("see all of the output as text, without anybody waiting for the result", async () => {
    await using host = await openBase();
    const got = { out: "", err: "" };
    const running = host.sandbox.spawn(
      node('process.stdout.write("€".repeat(100000)); console.error("err")'),
      {
        onStdout: (data) => void (got.out += data),
        onStderr: (data) => void (got.err += data),
      },
    );
    await running.exit;
    await running;
    expect(got.out === "€".repeat(100_000)).toBe(true);
    expect(got.err).toBe("err\n");
  });

  it("are waited for, and kill the command when they throw", async () => {
    await using host = await openBase();
    const reason = new Error("seen enough");
    let calls = 0;
    let isBusy = false;
    const running = host.sandbox.run(["seq", "1000000"], {
      async onStdout() {
        expect(isBusy).toBe(false);
        isBusy = true;
        await new Promise((resolve) => setImmediate(resolve));
        isBusy = false;
        calls += 1;
        if (calls === 3) throw reason;
      },
    });
    await expect(running).rejects.toBe(reason);
    expect(calls).toBe(3);
    expect(await running.exit).toMatchObject({ signal: expect.stringMatching(/SIGKILL|SIGPIPE/) });
  });
});

describe("stdin", () => {
  it("is at its end unless it was asked for", async () => {
    await using host = await openBase();
    const cat = host.sandbox.spawn(["cat"]);
    expect(await cat).toMatchObject({ exitCode: 0, stdout: "" });
    await expect(cat.stdin.write("x")).rejects.toThrow(/openStdin: true/);
    await cat.stdin.end();
  });

  it("has one writer", async () => {
    await using host = await openBase();
    const both = host.sandbox.spawn(["cat"], { stdin: "a", openStdin: true });
    await expect(both).rejects.toThrow(TypeError);
  });

  it("takes a long stream without holding on to it", async () => {
    await using host = await openBase();
    async function* lines(): AsyncGenerator<string> {
      for (let count = 0; count < 20_000; count += 1) yield `${count}\n`;
    }
    const { stdout } = await host.sandbox.run(["tail", "-n", "1"], { stdin: lines() });
    expect(stdout).toBe("19999\n");
  });
});

describe("an abort or time-out", () => {
  it("before the start: starts nothing", async () => {
    await using host = await openBase();
    const reason = new Error("too late");
    const running = host.sandbox.spawn(["touch", "made"], { signal: AbortSignal.abort(reason) });
    await expect(toArray(running.lines())).rejects.toBe(reason);
    await expect(running.started).rejects.toBe(reason);
    await expect(running).rejects.toBe(reason);
    expect((await host.sandbox.run(["ls"])).stdout).toBe("etc\n");
  });

  it("during the start: rejects with the reason", async () => {
    await using host = await openBase();
    const there = Promise.withResolvers<void>();
    const { containerId } = host.sandbox;
    const abort = new AbortController();
    const running = spawnProcess(
      stuckStart(host.runtime, there.resolve),
      { containerId, cmd: ["true"] },
      { signal: abort.signal },
    );
    const reading = toArray(running);
    await there.promise;
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(running.started).rejects.toBe(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(running).rejects.toBe(reason);
  });

  it("while it is read: the reader's loop throws it, and does not take it for the end", async () => {
    await using host = await openBase();
    const abort = new AbortController();
    const reason = new Error("enough");
    const running = host.sandbox.spawn(server, { signal: abort.signal });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of running) {
        seen.push(data);
        abort.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(seen).toEqual(["up\n"]);
    await expect(running).rejects.toBe(reason);
    expect(await running.exit).toMatchObject({ signal: "SIGKILL" });
  });

  it("ends an idle reader too", async () => {
    await using host = await openBase();
    const running = host.sandbox.spawn(["sleep", "1000"], { timeoutMs: 200 });
    await expect(toArray(running.stdout)).rejects.toMatchObject({ code: "TIMEOUT" });
    await expect(running.orThrow()).rejects.toMatchObject({
      code: "TIMEOUT",
      details: { timeoutMs: 200, stdout: "", stderr: "" },
    });
  });

  it("while input is awaited: the command is gone", async () => {
    await using host = await openBase();
    const abort = new AbortController();
    const asked = Promise.withResolvers<void>();
    async function* never(): AsyncGenerator<string> {
      asked.resolve();
      await new Promise(() => {});
      yield "";
    }
    const reason = new Error("enough");
    const running = host.sandbox.run(["cat"], { stdin: never(), signal: abort.signal });
    await asked.promise;
    abort.abort(reason);
    await expect(running).rejects.toBe(reason);
  });

  it("after the end: changes nothing", async () => {
    await using host = await openBase();
    const abort = new AbortController();
    const running = host.sandbox.run(["echo", "a"], { signal: abort.signal, timeoutMs: 5_000 });
    await running;
    abort.abort(new Error("late"));
    expect(await running).toMatchObject({ stdout: "a\n" });
  });
});

describe("disposing a handle", () => {
  it("kills what the process has started, and awaiting tells how it ended", async () => {
    await using host = await openBase();
    const program = `
      const child = require("child_process").spawn("sleep", ["1000"]);
      console.log(child.pid); setInterval(() => {}, 1000)`;
    const running = host.sandbox.spawn(node(program));
    let pid = 0;
    for await (const { line } of running.lines()) {
      pid = Number(line);
      break;
    }
    await running[Symbol.asyncDispose]();
    await running[Symbol.asyncDispose]();
    expect(isRunning(pid)).toBe(false);
    expect(await running).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  it("before the start: rejects with CANCELLED", async () => {
    await using host = await openBase();
    const running = host.sandbox.spawn(["sleep", "1000"]);
    await running[Symbol.asyncDispose]();
    await expect(running).rejects.toMatchObject({ code: "CANCELLED" });
    await running.kill();
    await running.resize({ width: 80, height: 24 });
  });
});
