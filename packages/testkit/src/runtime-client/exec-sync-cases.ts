import { expect } from "vitest";
import type { CaseGroup } from "./case-group.ts";
import { countSleeps, randomSeconds } from "./marked-sleep.ts";
import { toText } from "./runtime-case.ts";

const capBytes = 16_777_216;

export const execSyncCases: CaseGroup = (check) => {
  check("runs a command to its end, and answers what it printed", async (tools) => {
    const container = await tools.launch();
    expect(await tools.trySh(container, "echo out; echo error >&2")).toEqual({
      exitCode: 0,
      stdout: "out\n",
      stderr: "error\n",
    });
  });

  check("answers an exit code other than 0 without an error", async (tools) => {
    const container = await tools.launch();
    expect(await tools.trySh(container, "exit 42")).toMatchObject({ exitCode: 42 });
  });

  check("answers 128 and the number of the signal that ended a command", async (tools) => {
    const container = await tools.launch();
    expect(await tools.trySh(container, "kill -KILL $$")).toMatchObject({ exitCode: 137 });
    expect(await tools.trySh(container, "kill -TERM $$")).toMatchObject({ exitCode: 143 });
  });

  check("gives a command no input", async (tools) => {
    const container = await tools.launch();
    expect(await tools.trySh(container, "cat; echo over")).toMatchObject({ stdout: "over\n" });
  });

  check("gives a command the container's environment and directory", async (tools) => {
    const container = await tools.launch({ envs: [{ key: "COLOUR", value: "green" }] });
    await tools.sh(container, ": > here");
    expect(await tools.sh(container, 'ls here; echo "$COLOUR"')).toBe("here\ngreen");
  });

  check("passes arguments of a command on as they are", async (tools) => {
    const container = await tools.launch();
    const words = ["-n", "--", "a  b", "$HOME", "`id`", "new\nline", "*"];
    const cmd = ["sh", "-c", 'printf "%s|" "$@"', "sh", ...words];
    const output = await tools.runtime.execSync({ ...container, cmd });
    expect(toText(output).stdout).toBe(`${words.join("|")}|`);
  });

  check("answers bytes as they are", async (tools) => {
    const container = await tools.launch();
    const cmd = ["printf", String.raw`\377\376\000\012`];
    const { stdout } = await tools.runtime.execSync({ ...container, cmd });
    expect([...stdout]).toEqual([0xff, 0xfe, 0, 0x0a]);
  });

  check("ends a command and its children when its time is over", async (tools) => {
    const container = await tools.launch();
    const mark = randomSeconds();
    const script = `trap '' TERM; sleep ${mark} & sleep ${mark}; sleep ${mark}`;
    const startedMs = Date.now();
    await expect(
      tools.runtime.execSync({ ...container, cmd: ["sh", "-c", script], timeout: 1 }),
    ).rejects.toMatchObject({ code: "TIMEOUT" });
    const tookMs = Date.now() - startedMs;
    expect(tookMs).toBeGreaterThanOrEqual(950);
    expect(tookMs).toBeLessThan(15_000);
    expect(await tools.sh(container, countSleeps(mark))).toBe("0");
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  check("ends a command and its children when it is aborted", async (tools) => {
    const container = await tools.launch();
    const mark = randomSeconds();
    const stop = new AbortController();
    const cmd = ["sh", "-c", `sleep ${mark} & : > began; sleep ${mark}`];
    const running = tools.runtime.execSync({ ...container, cmd }, { signal: stop.signal });
    running.catch(() => undefined);
    await tools.sh(container, "until [ -e began ]; do sleep 0.02; done");
    stop.abort(new Error("enough"));
    await expect(running).rejects.toBe(stop.signal.reason);
    expect(await tools.sh(container, countSleeps(mark))).toBe("0");
  });

  check("does not wait for ever for a child that keeps the output open", async (tools) => {
    const container = await tools.launch();
    const startedMs = Date.now();
    expect(await tools.trySh(container, "sleep 600 & echo done")).toMatchObject({
      exitCode: 0,
      stdout: "done\n",
    });
    expect(Date.now() - startedMs).toBeLessThan(20_000);
  });

  check("keeps 16 MiB of an output, and lets the command go on", async (tools) => {
    const container = await tools.launch();
    const script = "head -c 20000000 /dev/zero; head -c 100 /dev/zero >&2; : > finished; exit 3";
    const output = await tools.runtime.execSync({ ...container, cmd: ["sh", "-c", script] });
    expect(output.exitCode).toBe(3);
    expect(output.stdout.length).toBeLessThanOrEqual(capBytes);
    expect(output.stdout.length).toBeGreaterThanOrEqual(capBytes / 4);
    expect(output.stderr.length).toBe(100);
    expect(await tools.sh(container, "ls finished")).toBe("finished");
  });

  check("says that a command cannot be started", async (tools) => {
    const container = await tools.launch();
    for (const cmd of [["no-such-program"], ["/no/such/program", "x"]]) {
      await expect(tools.runtime.execSync({ ...container, cmd })).rejects.toMatchObject({
        code: "EXECUTION_ERROR",
      });
    }
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  check("refuses an empty command", async (tools) => {
    const container = await tools.launch();
    await expect(tools.runtime.execSync({ ...container, cmd: [] })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(tools.runtime.exec({ ...container, cmd: [] })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  check("runs no command in a container that does not run", async (tools) => {
    const created = await tools.create(await tools.pod());
    const exited = await tools.launch({ command: ["true"] });
    await tools.ended(exited);
    for (const container of [created, exited]) {
      await expect(tools.runtime.execSync({ ...container, cmd: ["true"] })).rejects.toMatchObject({
        code: "SANDBOX_INVALID_STATE",
      });
      await expect(tools.runtime.exec({ ...container, cmd: ["true"] })).rejects.toMatchObject({
        code: "SANDBOX_INVALID_STATE",
      });
    }
  });

  check("runs many commands in one container at the same time", async (tools) => {
    const container = await tools.launch();
    const outputs = await Promise.all(
      Array.from({ length: 20 }, (_, index) => tools.sh(container, `echo ${index}`)),
    );
    expect(outputs).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });
};
