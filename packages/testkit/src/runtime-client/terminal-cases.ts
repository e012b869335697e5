import { expect } from "vitest";
import { needing, type CaseGroup } from "./case-group.ts";
import { readAll, textReader } from "./session-output.ts";

/** Commands in a terminal. Debian's minimal image and BusyBox both have `stty`. */
export const terminalCases: CaseGroup = (check) => {
  const terminal = needing(check, "tty");

  terminal("gives a command a terminal, with both outputs in one", async (tools) => {
    const { containerId } = await tools.launch();
    const script = "test -t 0 && test -t 1 && test -t 2 && echo terminal; echo error >&2";
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", script],
      tty: true,
      stdin: true,
    });
    expect(await readAll(session.stdout)).toBe("terminal\r\nerror\r\n");
    expect(await readAll(session.stderr)).toBe("");
    expect(await session.exit).toMatchObject({ exitCode: 0 });
  });

  terminal("gives a terminal its first size, and later ones", async (tools) => {
    const { containerId } = await tools.launch();
    const script = "stty size; while read line; do stty size; done";
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", script],
      tty: true,
      stdin: true,
      terminalSize: { width: 91, height: 33 },
    });
    const reader = textReader(session.stdout);
    await reader.until("33 91");
    await session.resize({ width: 120, height: 40 });
    await session.stdin.write("\n");
    await reader.until("40 120");
  });

  terminal("tells a program that its terminal has another size", async (tools) => {
    const { containerId } = await tools.launch();
    const script = "trap 'echo changed; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", script],
      tty: true,
      stdin: true,
    });
    const reader = textReader(session.stdout);
    await reader.until("ready");
    await session.resize({ width: 77, height: 22 });
    await reader.until("changed");
  });

  terminal("interrupts a command by its terminal", async (tools) => {
    const { containerId } = await tools.launch();
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", "echo ready; exec sleep 1000"],
      tty: true,
      stdin: true,
    });
    const reader = textReader(session.stdout);
    await reader.until("ready");
    await session.stdin.write("\u0003");
    expect((await session.exit).exitCode).toBe(130);
  });

  terminal("ends the input of a terminal by its end-of-file", async (tools) => {
    const { containerId } = await tools.launch();
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", "cat > /dev/null; echo over"],
      tty: true,
      stdin: true,
    });
    await session.stdin.write("text\n");
    await session.stdin.write("\u0004");
    await textReader(session.stdout).until("over");
    expect(await session.exit).toMatchObject({ exitCode: 0 });
  });

  terminal("sets TERM for a command in a terminal", async (tools) => {
    const { containerId } = await tools.launch();
    await using session = await tools.runtime.exec({
      containerId,
      cmd: ["sh", "-c", 'echo "term=$TERM"'],
      tty: true,
    });
    expect(await readAll(session.stdout)).toMatch(/term=xterm/);
  });

  terminal("refuses stderr apart from a terminal's output", async (tools) => {
    const { containerId } = await tools.launch();
    await expect(
      tools.runtime.exec({ containerId, cmd: ["true"], tty: true, stderr: true }),
    ).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
};
