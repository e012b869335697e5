import { text } from "node:stream/consumers";
import { isLongshoreError, openSandbox, type Sandbox } from "@longshore/core";
import { describe, expect, it, vi } from "vitest";
import { tempRuntime } from "./temp-runtime.ts";

async function open(): Promise<AsyncDisposable & { readonly sandbox: Sandbox }> {
  const host = await tempRuntime();
  const sandbox = await openSandbox(host.runtime, {
    image: "base",
    images: host.images,
    env: { COLOR: "red", SHAPE: "round" },
  });
  return {
    sandbox,
    async [Symbol.asyncDispose]() {
      await sandbox[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

/** A program for `node -e`: no shell in between. */
function node(program: string): readonly string[] {
  return [process.execPath, "-e", program];
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("sandbox.run", () => {
  it("gives exit code and both outputs apart", async () => {
    await using host = await open();
    const program = 'console.log("out"); console.error("err"); process.exitCode = 3';
    expect(await host.sandbox.run(node(program))).toEqual({
      exitCode: 3,
      stdout: "out\n",
      stderr: "err\n",
      stdoutTruncated: false,
      stderrTruncated: false,
      stdoutBytesTruncated: 0,
      stderrBytesTruncated: 0,
    });
  });

  it("tells the signal that ended a command", async () => {
    await using host = await open();
    const result = await host.sandbox.run(
      node('process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)'),
    );
    expect(result).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
  });

  it("hands arguments over as they are, whatever a shell would make of them", async () => {
    await using host = await open();
    const args = ["$HOME", "a b", "'\"`", "; exit 1", "*"];
    const { stdout } = await host.sandbox.run([
      ...node("console.log(JSON.stringify(process.argv.slice(1)))"),
      ...args,
    ]);
    expect(JSON.parse(stdout)).toEqual(args);
  });

  it("adds to the sandbox's environment and changes the directory", async () => {
    await using host = await open();
    const program = "console.log(process.env.COLOR, process.env.SHAPE, process.cwd())";
    const result = await host.sandbox.run(node(program), { env: { COLOR: "blue" }, cwd: "/" });
    expect(result.stdout).toBe("blue round /\n");
  });

  it("writes text, bytes and streams to the command's input", async () => {
    await using host = await open();
    const { sandbox } = host;
    async function* source(): AsyncGenerator<string> {
      yield "a";
      yield "b";
    }
    const stdins = ["text", Buffer.from([0xc3, 0xa9]), source()];
    const results = await Promise.all(stdins.map((stdin) => sandbox.run(["cat"], { stdin })));
    expect(results.map(({ stdout }) => stdout)).toEqual(["text", "é", "ab"]);
  });

  it("ends the input at once when none is given", async () => {
    await using host = await open();
    expect(await host.sandbox.run(["cat"])).toMatchObject({ exitCode: 0, stdout: "" });
  });

  it("does not mind a command that never reads its input", async () => {
    await using host = await open();
    const stdin = Buffer.alloc(4 * 1_048_576);
    expect(await host.sandbox.run(["true"], { stdin })).toMatchObject({ exitCode: 0 });
  });

  it("leaves an endless source of input when the command is done", async () => {
    await using host = await open();
    const closed = vi.fn<() => void>();
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) {
          yield "line\n";
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        closed();
      }
    }
    const result = await host.sandbox.run(["head", "-n", "1"], { stdin: endless() });
    expect(result.stdout).toBe("line\n");
    await vi.waitFor(() => expect(closed).toHaveBeenCalledOnce(), { timeout: 20_000 });
  });

  it("rejects with the error of the input's source, and the command is gone", async () => {
    await using host = await open();
    async function* broken(): AsyncGenerator<string> {
      yield "a";
      throw new Error("source broke");
    }
    await expect(host.sandbox.run(["cat"], { stdin: broken() })).rejects.toThrow("source broke");
  });

  it("keeps the first bytes of an output, cuts no character and counts the rest", async () => {
    await using host = await open();
    // "é" has two bytes: seven bytes hold three of them.
    const result = await host.sandbox.run(node('process.stdout.write("é".repeat(100))'), {
      maxOutputBytes: 7,
    });
    expect(result).toMatchObject({
      stdout: "ééé",
      stdoutTruncated: true,
      stdoutBytesTruncated: 194,
      stderrTruncated: false,
    });
  });

  it("reads both outputs at the same time", async () => {
    await using host = await open();
    const program = `
      const line = "x".repeat(1023) + "\\n";
      for (let i = 0; i < 512; i++) { require("fs").writeSync(2, line); require("fs").writeSync(1, line); }`;
    const { stdout, stderr } = await host.sandbox.run(node(program));
    expect([stdout.length, stderr.length]).toEqual([524_288, 524_288]);
  });

  it("kills a command and its children after the time-out, and tells what it had printed", async () => {
    await using host = await open();
    const program = `
      const child = require("child_process").spawn("sleep", ["1000"]);
      console.log(child.pid); setInterval(() => {}, 1000)`;
    const running = host.sandbox.run(node(program), { timeoutMs: 1_000 });
    const error = await running.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "TIMEOUT", details: { timeoutMs: 1_000 } });
    const pid = isLongshoreError(error) ? Number(error.details?.["stdout"]) : 0;
    expect(pid).toBeGreaterThan(0);
    expect(isRunning(pid)).toBe(false);
  });

  it("kills a command when it is aborted, and rejects with the reason", async () => {
    await using host = await open();
    const abort = new AbortController();
    const reason = new Error("changed my mind");
    const fed = Promise.withResolvers<void>();
    async function* stdin(): AsyncGenerator<string> {
      fed.resolve();
      await new Promise(() => {});
      yield "";
    }
    const running = host.sandbox.run(["sleep", "1000"], { signal: abort.signal, stdin: stdin() });
    await fed.promise;
    abort.abort(reason);
    await expect(running).rejects.toBe(reason);
    const left = await host.sandbox.run(["pgrep", "-f", "^sleep 1000$", "-P", String(process.pid)]);
    expect(left.stdout).toBe("");
  });

  it("starts nothing when it is aborted before", async () => {
    await using host = await open();
    const reason = new Error("too late");
    const running = host.sandbox.run(["touch", "made"], { signal: AbortSignal.abort(reason) });
    await expect(running).rejects.toBe(reason);
    expect((await host.sandbox.run(["ls"])).stdout).toBe("etc\n");
  });

  it("leaves no background process behind", async () => {
    await using host = await open();
    const program = `
      const child = require("child_process").spawn("sleep", ["1000"], { stdio: "ignore" });
      console.log(child.pid); child.unref()`;
    const { stdout } = await host.sandbox.run(node(program));
    expect(isRunning(Number(stdout))).toBe(false);
  });

  it("says that a program is not there", async () => {
    await using host = await open();
    await expect(host.sandbox.run(["no-such-program"])).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
    });
  });

  it.each([0, -1, 2 ** 31])("refuses a time-out of %d ms", async (timeoutMs) => {
    await using host = await open();
    await expect(host.sandbox.run(["true"], { timeoutMs })).rejects.toThrow(RangeError);
  });

  it("refuses an empty command", async () => {
    await using host = await open();
    await expect(host.sandbox.run([])).rejects.toThrow(TypeError);
  });
});

describe("sandbox.spawn", () => {
  it("talks to a process through its streams", async () => {
    await using host = await open();
    await using upper = host.sandbox.spawn(["tr", "a-z", "A-Z"], { openStdin: true });
    await upper.stdin.write("hello ");
    await upper.stdin.write(Buffer.from("there"));
    await upper.stdin.end();
    expect(await text(upper.stdout)).toBe("HELLO THERE");
    expect(await upper.exit).toEqual({ exitCode: 0 });
  });

  it("sends signals", async () => {
    await using host = await open();
    const program =
      'process.on("SIGUSR1", () => process.exit(7)); console.log("up"); setInterval(() => {}, 1000)';
    await using server = host.sandbox.spawn(node(program));
    for await (const chunk of server.stdout) {
      expect(Buffer.from(chunk).toString()).toBe("up\n");
      break;
    }
    await server.kill("SIGUSR1");
    expect(await server.exit).toEqual({ exitCode: 7 });
    await server.kill();
  });

  it("kills the process with its disposal", async () => {
    await using host = await open();
    const sleeper = host.sandbox.spawn(["sleep", "1000"]);
    await sleeper.started;
    await sleeper[Symbol.asyncDispose]();
    await sleeper[Symbol.asyncDispose]();
    expect(await sleeper.exit).toMatchObject({ signal: "SIGKILL" });
  });

  it("throws output away that nobody wants, so that the process goes on", async () => {
    await using host = await open();
    const program =
      'require("fs").writeSync(1, "x".repeat(1e6)); require("fs").writeSync(2, "x".repeat(1e6))';
    await using noisy = host.sandbox.spawn(node(program), { output: "ignore" });
    expect(await noisy.exit).toEqual({ exitCode: 0 });
    expect(await text(noisy.stdout)).toBe("");
  });

  it("passes on that the runtime has no terminals", async () => {
    await using host = await open();
    await expect(host.sandbox.spawn(["cat"], { tty: true })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
  });

  it("rejects when the holding process has ended", async () => {
    await using host = await tempRuntime();
    const { runtime, images } = host;
    await using sandbox = await openSandbox(runtime, { image: "base", images, command: ["true"] });
    await vi.waitFor(
      async () => {
        const { status } = await runtime.containerStatus({ containerId: sandbox.containerId });
        expect(status).toMatchObject({ state: "exited", exitCode: 0, reason: "Completed" });
      },
      { timeout: 20_000 },
    );
    await expect(sandbox.spawn(["true"])).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
  });
});
