import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { LongshoreError } from "@longshore/core";
import type { DriverLife } from "../runtime/driver-life.ts";
import { connectIn } from "../monitor/connect-in.ts";
import { helperProgram, starterProgram, type HelperProgram } from "./helper-program.ts";
import { perlArguments, perlScript } from "./perl-program.ts";
import { collect, collectText, perlError } from "./perl-report.ts";

/**
 * A process that starts our Perl programs by forking, for one driver. It is started when it is first needed, again when it
 * has died, and ends with this program or the driver; what it started stays.
 */
export interface PerlHelper {
  /**
   * Runs a program to its end and returns what it printed. It is short and not interrupted half-way: who aborts undoes it
   * afterwards.
   *
   * @param what said of what failed, e.g. `"make the sandbox's namespaces"`
   * @throws {LongshoreError} `IO_ERROR` with the failing step and the error's name in its details; `RUNTIME_NOT_SUPPORTED`
   *   without Perl
   */
  run(program: HelperProgram, args: readonly string[], what: string): Promise<string>;
  /**
   * Starts a program that goes on when this one ends, and returns the connection to it.
   *
   * @throws {LongshoreError} as `run` does
   */
  launch(program: HelperProgram, args: readonly string[], what: string): Promise<Socket>;
}

export interface PerlHelperOptions {
  readonly perl: string;
  /** Path of the OCI runtime of which it keeps a copy; none when empty */
  readonly runtime: string;
  /** Exists, and is for this user alone */
  readonly stateDirectory: string;
  readonly life: DriverLife;
}

interface Helper {
  readonly socketName: string;
  end(): void;
}

/** It may be killed just when it is asked; more often than that there is something else wrong. */
const maxAttempts = 5;
const readyWord = "ready";
const startedLetter = "s".codePointAt(0);

export function perlHelper(options: PerlHelperOptions): PerlHelper {
  const { perl, runtime, stateDirectory, life } = options;
  let current: Promise<Helper> | undefined;

  async function start(): Promise<Helper> {
    const socketName = `helper-${process.pid}-${randomBytes(6).toString("hex")}.sock`;
    const path = join(stateDirectory, socketName);
    const { text, table } = perlScript(helperProgram);
    const child = spawn(perl, perlArguments(starterProgram, [perl, "-", table, path, runtime]), {
      cwd: "/",
      detached: true,
      stdio: ["pipe", "ignore", "pipe", "pipe"],
      env: { LC_ALL: "C" },
    });
    const failure = collect(child.stderr);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(text);
    const lifeline = child.stdio[3];
    if (!(lifeline instanceof Socket)) throw new TypeError("a helper has a connection");
    lifeline.on("error", () => undefined);
    const ended = Promise.withResolvers<void>();
    child.once("error", () => ended.resolve());
    child.once("close", () => ended.resolve());
    const isReady = await Promise.race([
      once(lifeline, "data").then(
        ([word]) => String(word) === readyWord,
        () => false,
      ),
      ended.promise.then(() => false),
    ]);
    if (!isReady) {
      lifeline.destroy();
      await ended.promise;
      throw perlError("start the helper process", failure());
    }
    letGo(child);
    const end = (): void => {
      lifeline.destroy();
    };
    const stay = life.onEnd(end);
    void ended.promise.then(async () => {
      stay();
      lifeline.destroy();
      // One that was killed leaves it.
      await rm(path, { force: true }).catch(() => undefined);
    });
    return { socketName, end };
  }

  /** The helper that is there, or a new one. */
  function getHelper(): Promise<Helper> {
    if (current === undefined) {
      const fresh = start();
      current = fresh;
      fresh.catch(() => {
        if (current === fresh) current = undefined;
      });
    }
    return current;
  }

  async function launch(
    program: HelperProgram,
    args: readonly string[],
    what: string,
  ): Promise<Socket> {
    const body = Buffer.from([program, ...args].join("\0"));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    const request = Buffer.concat([head, body]);
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      const asked = getHelper();
      const { socketName, end } = await asked;
      try {
        const socket = await connectIn(stateDirectory, socketName).catch(() => undefined);
        // Nobody reads it before it is said that a process began.
        socket?.write(request);
        const answer = socket === undefined ? undefined : await firstChunk(socket);
        if (socket !== undefined && answer !== undefined) {
          if (answer[0] !== startedLetter) throw perlError(what, answer.subarray(1).toString());
          if (answer.length > 1) socket.unshift(answer.subarray(1));
          return socket;
        }
        // It died; whoever did not say that it began has done nothing.
        if (current === asked) current = undefined;
        end();
      } finally {
        // A driver that was let go keeps no process.
        if (life.hasEnded()) {
          end();
          current = undefined;
        }
      }
    }
    throw new LongshoreError("IO_ERROR", `Could not ${what}: the helper process does not answer.`);
  }

  return {
    launch,
    async run(program, args, what) {
      const socket = await launch(program, args, what);
      const report = await collectText(socket);
      if (report.endsWith("ok")) return report.slice(0, -"ok".length);
      throw perlError(what, report);
    },
  };
}

/** What comes first; `undefined` when nothing does. */
async function firstChunk(socket: Socket): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const onData = (chunk: Buffer): void => {
    socket.pause();
    resolve(chunk);
  };
  const onEnd = (): void => resolve(undefined);
  socket
    .once("data", onData)
    .once("close", onEnd)
    .on("error", () => undefined);
  const first = await promise;
  socket.off("data", onData).off("close", onEnd);
  return first;
}

/** Lets this program end while it runs. */
function letGo(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) if (stream instanceof Socket) stream.unref();
}
