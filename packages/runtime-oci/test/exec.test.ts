import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DriverContainer, DriverProcess, DriverSandbox } from "@longshore/core";
import { canRun, command, openMachine, text, type TestMachine } from "./fixtures/test-machine.ts";

describe.skipIf(!canRun).each(["runc", "crun"])("commands through %s (needs root)", (binary) => {
  let machine: TestMachine;
  let sandbox: DriverSandbox;
  let container: DriverContainer;
  let directory: string;
  beforeAll(async () => {
    machine = await openMachine(binary);
    sandbox = await machine.prepare();
    const spec = await machine.containerSpec("sleep 1000");
    directory = machine.directoryOf(sandbox, spec.id);
    container = await sandbox.start(spec);
  });
  afterAll(async () => {
    await sandbox.teardown();
    const left = await machine.leftovers();
    await machine[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(`left on the machine: ${left.join("; ")}`);
  });

  it("tells exit codes and signals apart", async () => {
    const plain = await container.exec(command("echo out; echo err >&2; exit 137"));
    expect(await text(plain.stdout)).toBe("out\n");
    expect(await text(plain.stderr)).toBe("err\n");
    const exit = await plain.exit;
    expect(exit).toMatchObject({ exitCode: 137 });
    expect(exit.signal).toBeUndefined();
    const killed = await container.exec(command("kill -KILL $$"));
    expect(await killed.exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  it("says that a program is missing", async () => {
    await expect(container.exec(command(["no-such-program"]))).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
      message: expect.stringContaining("no-such-program"),
    });
    await expect(container.exec(command("true", { user: "nobody-here" }))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    expect(await readdir(directory)).not.toContainEqual(expect.stringMatching(/^exec-/));
  });

  it("runs as the user and where it is told, with the variables it is given", async () => {
    const process = await container.exec(
      command("id -u; id -g; pwd; echo $GREETING", {
        user: "app",
        workingDir: "/tmp",
        env: ["PATH=/bin", "GREETING=a b"],
      }),
    );
    expect(await text(process.stdout)).toBe("1000\n1234\n/tmp\na b\n");
  });

  it("passes input in order and ends it", async () => {
    const process = await container.exec(command("sha256sum", { stdin: true }));
    const block = Buffer.alloc(1_000_000, "x");
    for (let index = 0; index < 8; index++) await process.stdin.write(block);
    await process.stdin.end();
    await process.stdin.end();
    expect(await text(process.stdout)).toBe(hashOf(block, 8));
    expect(await process.exit).toMatchObject({ exitCode: 0 });
  });

  it("makes a process wait that is written for faster than read, and lets it end unread", async () => {
    const process = await container.exec(
      command("head -c 3000000 /dev/zero; echo done > /tmp/written"),
    );
    const reader = process.stdout[Symbol.asyncIterator]();
    await reader.next();
    const check = await container.exec(command("cat /tmp/written 2>/dev/null; echo checked"));
    expect(await text(check.stdout)).toBe("checked\n");
    let bytes = 0;
    for (;;) {
      const { done, value } = await reader.next();
      if (done === true) break;
      bytes += value.length;
    }
    expect(bytes).toBeGreaterThan(2_900_000);
    expect(await process.exit).toMatchObject({ exitCode: 0 });
    const unread = await container.exec(command("echo never read"));
    expect(await unread.exit).toMatchObject({ exitCode: 0 });
    expect(await text(unread.stdout)).toBe("never read\n");
  });

  it("does not wait for writes to a process that does not read or has closed its input", async () => {
    const closed = await container.exec(command("exec 0<&-; sleep 0.2; exit 4", { stdin: true }));
    await closed.stdin.write(Buffer.alloc(2_000_000));
    expect(await closed.exit).toMatchObject({ exitCode: 4 });
    await closed.stdin.write("late");
    const deaf = await container.exec(command("sleep 1000", { stdin: true }));
    const writing = deaf.stdin.write(Buffer.alloc(2_000_000));
    await deaf.kill();
    await writing;
    expect(await deaf.exit).toMatchObject({ signal: "SIGKILL" });
  });

  it("ends the streams 5 seconds after a process whose children hold on to them", async () => {
    const process = await container.exec(command("sleep 1000 & echo started"));
    const before = Date.now();
    expect(await process.exit).toMatchObject({ exitCode: 0 });
    expect(Date.now() - before).toBeLessThan(4_000);
    expect(await text(process.stdout)).toBe("started\n");
    expect(Date.now() - before).toBeLessThan(9_000);
    // What it left behind goes on until it is killed.
    const left = await container.exec(command("ps -o args | grep -c '^sleep 1000' || true"));
    expect(Number(await text(left.stdout))).toBeGreaterThanOrEqual(2);
    await process.kill();
    const after = await container.exec(command("ps -o args | grep -c '^sleep 1000' || true"));
    expect(await text(after.stdout)).toBe("1\n");
  });

  it("kills a command with everything that it started", async () => {
    const process = await container.exec(
      command("(setsid sh -c 'sleep 777 & sleep 777' &) ; trap '' TERM; echo up; sleep 777"),
    );
    for await (const chunk of process.stdout) {
      expect(Buffer.from(chunk).toString()).toBe("up\n");
      break;
    }
    await process.signal("SIGTERM");
    await process.kill();
    await process.kill();
    expect(await process.exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
    const after = await container.exec(command("ps -o args | grep '^sleep 777'; true"));
    expect(await text(after.stdout)).toBe("");
  });

  it("gives a terminal of the size asked for, and tells it of changes", async () => {
    const process = await container.exec(
      // crun starts a command before its terminal has a size.
      command(
        "until [ \"$(stty size)\" = '33 77' ]; do :; done 2>/dev/null; stty size; read x; stty size; echo got $x; exit 5",
        {
          tty: true,
          stdin: true,
          terminalSize: { width: 77, height: 33 },
        },
      ),
    );
    const reader = process.stdout[Symbol.asyncIterator]();
    const first = await reader.next();
    expect(Buffer.from(first.value ?? "").toString()).toBe("33 77\r\n");
    await process.resize({ width: 100, height: 40 });
    await process.stdin.write("word\n");
    let rest = "";
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
      rest += Buffer.from(next.value).toString();
    }
    expect(rest).toBe("word\r\n40 100\r\ngot word\r\n");
    expect(await process.exit).toMatchObject({ exitCode: 5 });
    // It has ended: nothing to tell, no error.
    await process.resize({ width: 1, height: 1 });
    await process.signal("SIGTERM");
  });

  it("ends a terminal's input with the character for it", async () => {
    const process = await container.exec(command("cat; exit 6", { tty: true, stdin: true }));
    await process.stdin.write("line\n");
    await process.stdin.end();
    expect(await process.exit).toMatchObject({ exitCode: 6 });
    expect(await text(process.stdout)).toContain("line\r\n");
  });

  it("leaves nothing when it is aborted", async () => {
    const reason = new Error("changed my mind");
    let wasAborted = 0;
    for (const delayMs of [0, 1, 2, 5, 10, 15]) {
      const abort = new AbortController();
      const starting = container.exec(command("sleep 888"), { signal: abort.signal });
      setTimeout(() => abort.abort(reason), delayMs);
      const outcome = await starting.catch((error: unknown) => error);
      // It may have been too late for that.
      if (outcome === reason) wasAborted += 1;
      else await (outcome as DriverProcess).kill();
    }
    expect(wasAborted).toBeGreaterThan(0);
    const left = await container.exec(command("ps -o args | grep '^sleep 888'; true"));
    expect(await text(left.stdout)).toBe("");
  });

  it("runs many commands at a time", async () => {
    const outputs = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const process = await container.exec(command(`echo ${index}; exit ${index}`));
        return [await text(process.stdout), (await process.exit).exitCode] as const;
      }),
    );
    expect(outputs).toEqual(outputs.map((_, index) => [`${index}\n`, index]));
  });

  it("connects to ports of the sandbox, and says when nothing listens", async () => {
    const server = await container.exec(
      command("echo up; nc -l -p 4321 -e sh -c 'read x; echo got $x; cat'"),
    );
    for await (const _ of server.stdout) break;
    let socket = await sandbox.connect(4_321).catch(() => undefined);
    while (socket === undefined) socket = await sandbox.connect(4_321).catch(() => undefined);
    socket.write("word\nmore");
    socket.end();
    expect(await text(socket)).toBe("got word\nmore");
    await server.kill();
    await expect(sandbox.connect(4_322)).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(sandbox.connect(0)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    // The host's own ports are not the sandbox's.
    const outside = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => outside.once("listening", resolve));
    const address = outside.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(sandbox.connect(port)).rejects.toMatchObject({ code: "IO_ERROR" });
    outside.close();
  });

  it("counts what container and sandbox use", async () => {
    const work = await container.exec(
      command(
        "head -c 5000000 /dev/urandom > /work/file; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
      ),
    );
    await work.exit;
    const stats = await container.stats();
    expect(stats.cpu?.usageCoreNanoSeconds).toBeGreaterThan(1_000_000n);
    expect(stats.memory?.usageBytes).toBeGreaterThan(0);
    expect(stats.writableLayer?.usedBytes).toBeGreaterThanOrEqual(5_000_000);
    const all = await sandbox.stats();
    expect(all?.process?.processCount).toBeGreaterThanOrEqual(1);
    expect(all?.cpu?.usageCoreNanoSeconds).toBeGreaterThan(1_000_000n);
    expect(all?.network?.interfaces).toEqual([]);
  });
});

function hashOf(block: Buffer, times: number): string {
  const hash = createHash("sha256");
  for (let index = 0; index < times; index++) hash.update(block);
  return `${hash.digest("hex")}  -\n`;
}
