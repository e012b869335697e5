import { expect } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import type { RuntimeCase } from "./runtime-case.ts";
import { readAll, readBoth, textReader } from "./session-output.ts";

function attachOf({ runtime }: RuntimeCase): NonNullable<typeof runtime.attach> {
  return (...request) => method(runtime.attach, "attach").call(runtime, ...request);
}

export const attachCases: CaseGroup = (check) => {
  const attached = needing(check, "attach");
  const withInput = needing(check, "attach", "stdin");

  attached("shows a container's output from the first byte on", async (tools) => {
    const container = await tools.create(await tools.pod(), {
      command: ["sh", "-c", "echo first; echo error >&2; exit 3"],
    });
    await using session = await attachOf(tools)(container);
    await tools.runtime.startContainer(container);
    expect(await readBoth(session)).toEqual({ stdout: "first\n", stderr: "error\n" });
    expect(await tools.ended(container)).toMatchObject({ exitCode: 3 });
  });

  attached("shows one container to several", async (tools) => {
    const container = await tools.create(await tools.pod(), { command: ["seq", "1", "20000"] });
    const attach = attachOf(tools);
    await using one = await attach(container);
    await using two = await attach(container);
    await tools.runtime.startContainer(container);
    const outputs = await Promise.all([readAll(one.stdout), readAll(two.stdout)]);
    const expected = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(outputs.map((output) => output === expected)).toEqual([true, true]);
  });

  attached("shows nothing of what was before", async (tools) => {
    const attach = attachOf(tools);
    const script = "echo before; until [ -e go ]; do sleep 0.02; done; echo after";
    const container = await tools.create(await tools.pod(), { command: ["sh", "-c", script] });
    {
      // That a container has written something does not mean that the runtime has read it.
      await using early = await attach(container);
      await tools.runtime.startContainer(container);
      await textReader(early.stdout).until("before\n");
    }
    await using session = await attach(container);
    // What lets the container end may itself be killed by that.
    await tools.trySh(container, ": > go");
    expect(await readAll(session.stdout)).toBe("after\n");
  });

  attached("lets a container go on when a session leaves", async (tools) => {
    const container = await tools.launch({
      command: ["sh", "-c", "while :; do echo tick; sleep 0.02; done"],
    });
    const session = await attachOf(tools)(container);
    await textReader(session.stdout).until("tick");
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    expect(await tools.status(container)).toMatchObject({ state: "running" });
    await using again = await attachOf(tools)(container);
    await textReader(again.stdout).until("tick");
  });

  attached("ends the streams of a container that is removed unstarted", async (tools) => {
    const container = await tools.create(await tools.pod());
    await using session = await attachOf(tools)(container);
    const output = readBoth(session);
    await tools.runtime.removeContainer(container);
    expect(await output).toEqual({ stdout: "", stderr: "" });
  });

  attached("attaches to nothing that has ended or never was", async (tools) => {
    const exited = await tools.launch({ command: ["true"] });
    await tools.ended(exited);
    const attach = attachOf(tools);
    await expect(attach(exited)).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await expect(attach({ containerId: "no-such-container" })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await expect(attach({ containerId: "" })).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  attached("refuses to attach to no stream", async (tools) => {
    const container = await tools.launch();
    const none = { stdin: false, stdout: false, stderr: false };
    await expect(attachOf(tools)({ ...container, ...none })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  attached("refuses input for a container made without", async (tools) => {
    const container = await tools.launch();
    await expect(attachOf(tools)({ ...container, stdin: true })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  withInput("passes input to a container's first process", async (tools) => {
    const container = await tools.launch({
      command: ["sh", "-c", 'while read line; do echo "got $line"; done; echo over'],
      stdin: true,
    });
    const attach = attachOf(tools);
    {
      await using session = await attach({ ...container, stdin: true });
      await session.stdin.write("one\n");
      await textReader(session.stdout).until("got one");
    }
    // Without stdinOnce the input stays open for the next one.
    await using session = await attach({ ...container, stdin: true });
    await session.stdin.write("two\n");
    const reader = textReader(session.stdout);
    await reader.until("got two");
    expect(await tools.status(container)).toMatchObject({ state: "running" });
  });

  withInput("ends the input with the first session when it is for once", async (tools) => {
    const container = await tools.create(await tools.pod(), {
      command: ["sh", "-c", "cat; echo over; exit 5"],
      stdin: true,
      stdinOnce: true,
    });
    await using watcher = await attachOf(tools)(container);
    {
      await using session = await attachOf(tools)({ ...container, stdin: true });
      await tools.runtime.startContainer(container);
      await session.stdin.write("text\n");
      await session.stdin.end();
    }
    expect(await readAll(watcher.stdout)).toBe("text\nover\n");
    expect(await tools.ended(container)).toMatchObject({ exitCode: 5 });
  });

  needing(
    check,
    "attach",
    "stdin",
    "tty",
  )("attaches to a container's terminal", async (tools) => {
    const container = await tools.create(await tools.pod(), {
      command: ["sh", "-c", "test -t 0 && echo terminal; while read line; do stty size; done"],
      stdin: true,
      tty: true,
    });
    await using session = await attachOf(tools)({ ...container, stdin: true });
    await tools.runtime.startContainer(container);
    const reader = textReader(session.stdout);
    await reader.until("terminal");
    await session.resize({ width: 101, height: 42 });
    await session.stdin.write("\n");
    await reader.until("42 101");
  });
};
