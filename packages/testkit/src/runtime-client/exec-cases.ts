import type { ExecRequest, ExecSession } from "@longshore/core";
import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { countSleeps, randomSeconds } from "./marked-sleep.ts";
import type { RuntimeCase } from "./runtime-case.ts";
import { countBytes, finish, readAll, textReader } from "./session-output.ts";

const mib = 1_048_576;

/** A session of a script, in a container of its own unless one is given. */
async function execScript(
  tools: RuntimeCase,
  script: string,
  rest: Partial<ExecRequest> = {},
): Promise<ExecSession & { readonly containerId: string }> {
  const containerId = rest.containerId ?? (await tools.launch()).containerId;
  const session = await tools.runtime.exec({ containerId, cmd: ["sh", "-c", script], ...rest });
  return Object.assign(session, { containerId });
}

export const execCases: CaseGroup = (check) => {
  check("streams both outputs of a command, and tells its end", async (tools) => {
    await using session = await execScript(tools, "echo out; echo error >&2; exit 6");
    expect(await finish(session)).toEqual({ stdout: "out\n", stderr: "error\n", exitCode: 6 });
  });

  check("passes input on, and its end", async (tools) => {
    await using session = await execScript(tools, "cat; echo over", { stdin: true });
    await session.stdin.write("one\n");
    const reader = textReader(session.stdout);
    await reader.until("one\n");
    await session.stdin.write(Buffer.from("two\n"));
    await session.stdin.end();
    await session.stdin.end();
    expect(await reader.rest()).toBe("one\ntwo\nover\n");
    expect(await session.exit).toMatchObject({ exitCode: 0 });
  });

  check("passes 8 MiB of input on without loss", async (tools) => {
    await using session = await execScript(tools, "wc -c", { stdin: true });
    const output = readAll(session.stdout);
    const chunk = Buffer.alloc(mib, "x");
    for (let sent = 0; sent < 8; sent += 1) await session.stdin.write(chunk);
    await session.stdin.end();
    expect((await output).trim()).toBe(String(8 * mib));
  });

  check("gives a command that gets no input the end at once", async (tools) => {
    await using session = await execScript(tools, "cat; echo over");
    expect((await finish(session)).stdout).toBe("over\n");
  });

  check("drops input that a command does not take", async (tools) => {
    await using session = await execScript(tools, "exec 0<&-; echo closed; sleep 0.2", {
      stdin: true,
    });
    const output = readAll(session.stdout);
    const chunk = Buffer.alloc(mib);
    for (let sent = 0; sent < 4; sent += 1) await session.stdin.write(chunk);
    expect(await output).toBe("closed\n");
    await session.exit;
    await session.stdin.write("late");
    await session.stdin.end();
  });

  check("sets environment and directory of one command", async (tools) => {
    const container = await tools.launch({ envs: [{ key: "COLOUR", value: "green" }] });
    const envs = [
      { key: "COLOUR", value: "red" },
      { key: "LINES", value: "a\nb" },
    ];
    await using session = await execScript(tools, 'printf "%s|" "$COLOUR" "$LINES" "$PWD"', {
      ...container,
      envs,
      workingDir: "/etc",
    });
    expect((await finish(session)).stdout).toBe("red|a\nb|/etc|");
    expect(await tools.sh(container, 'echo "$COLOUR"')).toBe("green");
  });

  check("sends a signal to a command", async (tools) => {
    await using session = await execScript(
      tools,
      "trap 'echo got it; exit 4' USR1; echo ready; while :; do sleep 0.05; done",
    );
    const reader = textReader(session.stdout);
    await reader.until("ready");
    await session.kill("SIGUSR1");
    await reader.until("got it");
    expect(await session.exit).toMatchObject({ exitCode: 4 });
    await session.kill();
  });

  check("ends a command with SIGTERM unless told otherwise", async (tools) => {
    await using session = await execScript(tools, "echo ready; exec sleep 1000");
    await textReader(session.stdout).until("ready");
    await session.kill();
    expect((await session.exit).exitCode).toBe(143);
  });

  check("kills a command and its children when the session is closed early", async (tools) => {
    const mark = randomSeconds();
    const container = await tools.launch();
    const script = `trap '' TERM HUP; sleep ${mark} & echo ready; sleep ${mark}`;
    const session = await execScript(tools, script, container);
    await textReader(session.stdout).until("ready");
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    expect(await tools.sh(container, countSleeps(mark))).toBe("0");
    expect((await session.exit).exitCode).toBe(137);
  });

  check("keeps a command waiting while nobody reads, and loses nothing", async (tools) => {
    const parts = 64;
    const script = `i=0; while [ $i -lt ${parts} ]; do i=$((i+1)); echo $i >&2;
      head -c ${mib} /dev/zero; done`;
    await using session = await execScript(tools, script);
    const progress = await lastBeforeSilence(session.stderr, 1_000);
    // 1 MiB may be held, and what pipes on the way hold.
    expect(progress.last).toBeGreaterThan(0);
    expect(progress.last).toBeLessThan(16);
    const [bytes] = await Promise.all([countBytes(session.stdout), progress.drain()]);
    expect(bytes).toBe(parts * mib);
    expect(await session.exit).toMatchObject({ exitCode: 0 });
  });

  check("lets a command run to its end when no output is wanted", async (tools) => {
    await using session = await execScript(tools, "head -c 33554432 /dev/zero; exit 2", {
      stdout: false,
      stderr: false,
    });
    expect(await session.exit).toMatchObject({ exitCode: 2 });
    expect(await finish(session)).toMatchObject({ stdout: "", stderr: "" });
  });

  check("tells the end of a command whose output nobody reads", async (tools) => {
    await using session = await execScript(tools, "echo unread; exit 3");
    expect(await session.exit).toMatchObject({ exitCode: 3 });
    expect(await readAll(session.stdout)).toBe("unread\n");
  });

  check("ends the streams though a child of the command holds on to them", async (tools) => {
    await using session = await execScript(tools, "echo done; sleep 600 &");
    const startedMs = Date.now();
    expect(await finish(session)).toMatchObject({ exitCode: 0, stdout: "done\n" });
    expect(Date.now() - startedMs).toBeLessThan(20_000);
  });

  check("ends sessions when the container is stopped", async (tools) => {
    const container = await tools.launch();
    await using session = await execScript(
      tools,
      "trap '' TERM; sleep 1000; sleep 1000",
      container,
    );
    const output = finish(session);
    await tools.runtime.stopContainer({ ...container, timeout: 0 });
    expect((await output).exitCode).toBeGreaterThan(0);
  });

  check("says that a session's command cannot be started", async (tools) => {
    const { containerId } = await tools.launch();
    await expect(
      tools.runtime.exec({ containerId, cmd: ["no-such-program"] }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
  });

  check("starts no session when aborted before", async (tools) => {
    const { containerId } = await tools.launch();
    const reason = new Error("enough");
    await expect(
      tools.runtime.exec({ containerId, cmd: ["true"] }, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });

  check("lets a session go on when the signal of its start aborts later", async (tools) => {
    const { containerId } = await tools.launch();
    const stop = new AbortController();
    const cmd = ["sh", "-c", "read line; echo $line"];
    await using session = await tools.runtime.exec(
      { containerId, cmd, stdin: true },
      { signal: stop.signal },
    );
    stop.abort(new Error("too late"));
    await session.stdin.write("still here\n");
    expect((await finish(session)).stdout).toBe("still here\n");
  });

  needing(
    check,
    "users",
    "image files",
  )("runs a command as another user", async (tools) => {
    const container = await tools.launch();
    const idsOf = async (user: string): Promise<string> => {
      await using session = await execScript(tools, "id -u; id -g", { ...container, user });
      return (await finish(session)).stdout;
    };
    expect(await idsOf("1000")).toBe("1000\n1000\n");
    expect(await idsOf("worker")).toBe("1000\n1000\n");
    expect(await idsOf("4321:8765")).toBe("4321\n8765\n");
    await expect(idsOf("no-such-user")).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
};

interface Progress {
  /** Last number printed before the silence */
  readonly last: number;
  /** Reads the rest */
  drain(): Promise<void>;
}

/** Reads numbers, one a line, until none has come for a while. */
async function lastBeforeSilence(
  stream: AsyncIterable<Uint8Array>,
  silenceMs: number,
): Promise<Progress> {
  const iterator = stream[Symbol.asyncIterator]();
  let text = "";
  let next = iterator.next();
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<"silence">((resolve) => {
      timer = setTimeout(() => resolve("silence"), silenceMs);
    });
    const result = await Promise.race([next, silence]);
    clearTimeout(timer);
    if (result === "silence" || result.done === true) break;
    text += Buffer.from(result.value).toString("utf8");
    next = iterator.next();
  }
  return {
    last: Number(text.trim().split("\n").at(-1) ?? 0),
    async drain() {
      for (let result = await next; result.done !== true; result = await iterator.next());
    },
  };
}
