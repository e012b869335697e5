import { readFile, rename, stat } from "node:fs/promises";
import { expect } from "vitest";
import { method, needing, type CaseGroup } from "./case-group.ts";
import { launchLogged, logText, readLog, untilLogged, type LogEntry } from "./log-file.ts";
import type { RuntimeCase } from "./runtime-case.ts";

/** RFC 3339 with nanoseconds, as Go writes it: zeros at the end may be missing. */
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

async function logOf(
  tools: RuntimeCase,
  script: string,
  options: { readonly tty?: boolean } = {},
): Promise<readonly LogEntry[]> {
  const container = await launchLogged(tools, script, options);
  await tools.ended(container);
  return readLog(container.log);
}

export const logCases: CaseGroup = (check) => {
  const logged = needing(check, "logs");

  logged("writes each line with time, stream and tag", async (tools) => {
    const beforeMs = Date.now();
    const entries = await logOf(tools, "echo one; echo; echo '  two  three'");
    expect(entries.map(({ content }) => content.toString())).toEqual(["one", "", "  two  three"]);
    for (const { time, stream, tag } of entries) {
      expect(time).toMatch(timePattern);
      expect(Date.parse(time)).toBeGreaterThanOrEqual(beforeMs - 1_000);
      expect({ stream, tag }).toEqual({ stream: "stdout", tag: "F" });
    }
  });

  logged("keeps both streams, each in its order", async (tools) => {
    const script = "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    const entries = await logOf(tools, script);
    const lines = (letter: string): string =>
      Array.from({ length: 200 }, (_, index) => `${letter}${index}\n`).join("");
    expect(logText(entries, "stdout").toString()).toBe(lines("o"));
    expect(logText(entries, "stderr").toString()).toBe(lines("e"));
    const times = entries
      .filter(({ stream }) => stream === "stdout")
      .map(({ time }) => Date.parse(time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  logged("cuts a line of more than 16 KiB into parts", async (tools) => {
    const script = "head -c 100000 /dev/zero | tr '\\0' a; echo; echo after";
    const entries = await logOf(tools, script);
    const partial = entries.filter(({ tag }) => tag === "P");
    expect(partial.length).toBeGreaterThanOrEqual(5);
    for (const { content } of entries) expect(content.length).toBeLessThanOrEqual(16_384);
    expect(logText(entries, "stdout").toString()).toBe(`${"a".repeat(100_000)}\nafter\n`);
    expect(entries.at(-1)?.content.toString()).toBe("after");
  });

  logged("keeps a last line without an end", async (tools) => {
    const entries = await logOf(tools, "echo whole; printf rest");
    expect(entries.map(({ content }) => content.toString())).toEqual(["whole", "rest"]);
  });

  logged("keeps bytes that are no text", async (tools) => {
    const entries = await logOf(tools, String.raw`printf '\377\376\000\001\r\n'`);
    expect(entries.map(({ content }) => content.toString("hex"))).toEqual(["fffe00010d"]);
  });

  logged("keeps all of a large output", async (tools) => {
    const entries = await logOf(tools, "seq 1 200000");
    const expected = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(logText(entries, "stdout").toString() === expected).toBe(true);
  });

  logged("makes the log's directories, and a file that not everybody reads", async (tools) => {
    const container = await launchLogged(tools, "echo hi");
    await tools.ended(container);
    expect((await tools.status(container)).logPath).toBe(container.log);
    expect((await stat(container.log)).mode & 0o007).toBe(0);
  });

  logged("keeps the log of a container when the container is gone", async (tools) => {
    const container = await launchLogged(tools, "echo kept");
    await tools.ended(container);
    await tools.runtime.removePodSandbox(container);
    expect(await readFile(container.log, "utf8")).toContain("stdout F kept\n");
  });

  logged("runs a container without a log path", async (tools) => {
    const container = await tools.launch({ command: ["sh", "-c", "seq 1 100000; exit 4"] });
    expect(await tools.ended(container)).toMatchObject({ exitCode: 4 });
    expect((await tools.status(container)).logPath ?? "").toBe("");
  });

  logged("refuses a log path that leaves the log directory", async (tools) => {
    const pod = await tools.pod({ logDirectory: `${tools.directory}/logs` });
    await expect(tools.create(pod, { logPath: "../../outside.log" })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  needing(
    check,
    "logs",
    "tty",
  )("writes all of a terminal as stdout", async (tools) => {
    const entries = await logOf(tools, "echo out; echo error >&2", { tty: true });
    expect(entries.map(({ stream }) => stream)).toEqual(["stdout", "stdout"]);
    expect(logText(entries, "stdout").toString()).toBe("out\r\nerror\r\n");
  });

  const rotated = needing(check, "logs", "log rotation");
  rotated("goes on in a new file after the old one was renamed", async (tools) => {
    const script = "trap 'echo second; exit 0' TERM; echo first; while :; do sleep 0.05; done";
    const container = await launchLogged(tools, script);
    await untilLogged(container.log, "first");
    await rename(container.log, `${container.log}.1`);
    await method(tools.runtime.reopenContainerLog, "reopenContainerLog")(container);
    await tools.runtime.stopContainer({ ...container, timeout: 30 });
    expect(logText(await readLog(container.log), "stdout").toString()).toBe("second\n");
    expect(logText(await readLog(`${container.log}.1`), "stdout").toString()).toBe("first\n");
  });

  rotated("loses nothing when the log is renamed in full flow", async (tools) => {
    const container = await launchLogged(tools, "seq 1 300000");
    const parts: string[] = [];
    for (let part = 0; part < 5; part += 1) {
      await untilLogged(container.log, "stdout");
      const { state } = await tools.status(container);
      if (state !== "running") break;
      parts.push(`${container.log}.${part}`);
      await rename(container.log, `${container.log}.${part}`);
      try {
        await method(tools.runtime.reopenContainerLog, "reopenContainerLog")(container);
      } catch (error) {
        // It ended meanwhile; kubelet takes the renaming back then, too.
        expect(error).toMatchObject({ code: "SANDBOX_INVALID_STATE" });
        await rename(`${container.log}.${part}`, container.log);
        parts.pop();
      }
    }
    await tools.ended(container);
    const files = await Promise.all([...parts, container.log].map((path) => readLog(path)));
    const expected = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(logText(files.flat(), "stdout").toString() === expected).toBe(true);
  });

  rotated("opens no new log for a container that has ended", async (tools) => {
    const container = await launchLogged(tools, "echo hi");
    await tools.ended(container);
    await rename(container.log, `${container.log}.1`);
    await expect(
      method(tools.runtime.reopenContainerLog, "reopenContainerLog")(container),
    ).rejects.toMatchObject({ code: "SANDBOX_INVALID_STATE" });
    await expect(stat(container.log)).rejects.toMatchObject({ code: "ENOENT" });
  });
};
