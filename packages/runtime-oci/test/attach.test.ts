import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AttachSession, DriverSandbox } from "@longshore/core";
import { canRun, logText, openMachine, text, type TestMachine } from "./fixtures/test-machine.ts";

describe.skipIf(!canRun)("attaching to containers (needs root, runc and busybox)", () => {
  let machine: TestMachine;
  let sandbox: DriverSandbox;
  beforeAll(async () => {
    machine = await openMachine();
    sandbox = await machine.prepare();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  it("shows every byte to those who are there from the start, and to the log", async () => {
    const spec = await machine.containerSpec(
      "echo first; read x; echo got $x; echo e >&2; exit 3",
      {
        process: { stdin: true },
        spec: { attach: [{ stdin: true }, { stdout: false }, {}] },
      },
    );
    const container = await sandbox.start(spec);
    const [writer, errors, watcher] = container.sessions;
    await writer?.stdin.write("word\n");
    expect(await text(writer?.stdout ?? nothing())).toBe("first\ngot word\n");
    expect(await text(errors?.stdout ?? nothing())).toBe("");
    expect(await text(errors?.stderr ?? nothing())).toBe("e\n");
    expect(await text(watcher?.stdout ?? nothing())).toBe("first\ngot word\n");
    expect(await container.exit).toMatchObject({ exitCode: 3 });
    expect(await logText(spec.log?.path ?? "", "stdout")).toBe("first\ngot word\n");
    await container.remove();
  });

  it("loses no output of a process that has ended when its input is still written to", async () => {
    const spec = await machine.containerSpec("echo kept; read x; sleep 0.1; echo last", {
      process: { stdin: true },
      spec: { attach: [{ stdin: true }] },
    });
    const container = await sandbox.start(spec);
    const [session] = container.sessions as [AttachSession];
    await session.stdin.write("word\n");
    // Until its monitor has nothing left to do, this program reads nothing: what was printed waits in the connection.
    const end = join(machine.directoryOf(sandbox, spec.id), "exit.json");
    execFileSync("sh", ["-c", 'while [ ! -e "$0" ]; do sleep 0.01; done; sleep 0.2', end], {
      timeout: 20_000,
    });
    void session.stdin.write("too late\n");
    expect(await text(session.stdout)).toBe("kept\nlast\n");
    expect(await container.exit).toMatchObject({ exitCode: 0 });
    await container.remove();
  });

  it("makes the process wait for a slow client, and go on without one that left", async () => {
    const spec = await machine.containerSpec(
      "read x; head -c 20000000 /dev/zero | tr '\\0' '\\n'",
      {
        process: { stdin: true },
        spec: { attach: [{ stdin: true }, {}] },
      },
    );
    const container = await sandbox.start({ ...spec, log: undefined });
    const [reader, slow] = container.sessions as [AttachSession, AttachSession];
    await reader.stdin.write("go\n");
    let bytes = 0;
    const reading = (async () => {
      for await (const chunk of reader.stdout) bytes += chunk.length;
    })();
    // The slow one takes one chunk and then no more: the other cannot get far ahead of it.
    const first = await slow.stdout[Symbol.asyncIterator]().next();
    expect(first.done).toBe(false);
    const state = await Promise.race([
      container.exit,
      container.stats().then(() => "still running"),
    ]);
    expect(state).toBe("still running");
    expect(bytes).toBeLessThan(2_000_000);
    await slow[Symbol.asyncDispose]();
    await reading;
    expect(bytes).toBe(20_000_000);
    expect(await container.exit).toMatchObject({ exitCode: 0 });
    await container.remove();
  });

  it("ends the input with the first session when it is for once only", async () => {
    const spec = await machine.containerSpec("cat; echo over; exit 5", {
      process: { stdin: true },
      config: { stdinOnce: true },
      spec: { attach: [{ stdin: true }, {}] },
    });
    const container = await sandbox.start(spec);
    const [writer, watcher] = container.sessions as [AttachSession, AttachSession];
    await writer.stdin.write("text\n");
    await writer[Symbol.asyncDispose]();
    expect(await text(watcher.stdout)).toBe("text\nover\n");
    expect(await container.exit).toMatchObject({ exitCode: 5 });
    await expect(container.attach({})).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await container.remove();
  });

  it("attaches to a terminal and resizes it", async () => {
    const spec = await machine.containerSpec(
      "test -t 0 && echo terminal; while read line; do stty size; done",
      { process: { stdin: true, tty: true }, spec: { attach: [{ stdin: true, stderr: true }] } },
    );
    const container = await sandbox.start(spec);
    const [session] = container.sessions as [AttachSession];
    let seen = "";
    let isAsked = false;
    for await (const chunk of session.stdout) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes("42 101")) break;
      if (isAsked || !seen.includes("terminal")) continue;
      isAsked = true;
      await session.resize({ width: 101, height: 42 });
      await session.stdin.write("\n");
    }
    expect(seen).toContain("42 101");
    expect(await text(session.stderr)).toBe("");
    await container.remove();
    await expect(container.exit).resolves.toMatchObject({ exitCode: expect.any(Number) });
  });
});

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}
