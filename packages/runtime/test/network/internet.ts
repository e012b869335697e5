import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { must, run } from "./network-fixture.ts";

/** Another machine on the public internet: a namespace behind a link of its own. */
export interface Internet extends AsyncDisposable {
  /** The host's address on that link */
  readonly hostAddress: string;
  readonly hostAddress6: string;
  readonly address: string;
  readonly secondAddress: string;
  readonly address6: string;
  /** Argument list of a program over there */
  on(...argv: string[]): string[];
  /** Starts a program over there that prints a line when it is ready. */
  start(argv: readonly string[]): Promise<RemoteProgram>;
}

export interface RemoteProgram {
  readonly process: ChildProcess;
  /** Lines that it printed behind the first */
  readonly lines: string[];
  nextLine(): Promise<string>;
}

/** Addresses that look public to our code; for the machine they are on a link of its own. */
export async function openInternet(): Promise<Internet> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-internet-"));
  const file = join(directory, "net");
  const link = `lti${randomBytes(4).toString("hex")}`;
  const net = `44.${randomInt(1, 255)}.${randomInt(255)}`;
  // Without leading zeros, as addresses are written.
  const group = (): string => randomInt(0x1000, 0x10000).toString(16);
  const net6 = `2a0f:${group()}:${group()}:`;
  const processes = new Set<ChildProcess>();
  await writeFile(file, "");
  await must("unshare", `--net=${file}`, "ip", "link", "set", "lo", "up");
  const on = (...argv: string[]): string[] => ["nsenter", `--net=${file}`, ...argv];
  await must("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", file);
  await must("ip", "addr", "add", `${net}.1/24`, "dev", link);
  await must("ip", "addr", "add", `${net6}:1/64`, "dev", link, "nodad");
  await must("ip", "link", "set", link, "up");
  for (const address of [`${net}.2/24`, `${net}.3/24`]) {
    await must(...on("ip", "addr", "add", address, "dev", "eth0"));
  }
  await must(...on("ip", "addr", "add", `${net6}:2/64`, "dev", "eth0", "nodad"));
  await must(...on("ip", "link", "set", "eth0", "up"));

  return {
    hostAddress: `${net}.1`,
    hostAddress6: `${net6}:1`,
    address: `${net}.2`,
    secondAddress: `${net}.3`,
    address6: `${net6}:2`,
    on,
    async start(argv) {
      const [command = "", ...args] = on(...argv);
      const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
      processes.add(child);
      const lines: string[] = [];
      const reader = createInterface({ input: child.stdout });
      reader.on("line", (line) => lines.push(line));
      const nextLine = async (): Promise<string> => {
        if (lines.length === 0) await Promise.race([once(reader, "line"), once(child, "close")]);
        return lines.shift() ?? `ended: ${child.exitCode}`;
      };
      await nextLine();
      return { process: child, lines, nextLine };
    },
    async [Symbol.asyncDispose]() {
      for (const child of processes) {
        const isOver = child.exitCode !== null || child.signalCode !== null;
        const ended = isOver ? undefined : once(child, "close");
        child.kill("SIGKILL");
        await ended;
      }
      await run(["ip", "link", "del", link]);
      await must("umount", file);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
