import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { AttachRequest, AttachSession, InputWriter } from "@longshore/core";
import type { HostProcess } from "./host-process.ts";

/** Those who are attached to one container's first process. */
export interface AttachHub {
  attach(request: AttachRequest): AttachSession;
  /** Begins to pass on what the process prints */
  connect(main: HostProcess): void;
  /** Ends all streams */
  close(): void;
}

interface Watcher {
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
}

/** @param isStdinOnce whether the input ends with the first session that has it */
export function attachHub(isStdinOnce: boolean): AttachHub {
  const watchers = new Set<Watcher>();
  const connected = Promise.withResolvers<HostProcess | undefined>();

  const pass = async (source: AsyncIterable<Uint8Array>, name: keyof Watcher): Promise<void> => {
    for await (const chunk of source) {
      await Promise.all(
        [...watchers].map(async (watcher) => {
          const stream = watcher[name];
          if (stream.destroyed || stream.write(chunk)) return;
          await Promise.race([once(stream, "drain"), once(stream, "close")]);
        }),
      );
    }
    for (const watcher of watchers) watcher[name].end();
  };

  return {
    attach({ stdin = false, stdout = true, stderr = true }) {
      const watcher = { stdout: new PassThrough(), stderr: new PassThrough() };
      if (!stdout) watcher.stdout.end();
      if (!stderr) watcher.stderr.end();
      watchers.add(watcher);
      const input: InputWriter = {
        async write(chunk) {
          if (stdin) await (await connected.promise)?.stdin.write(chunk);
        },
        async end() {
          if (stdin) await (await connected.promise)?.stdin.end();
        },
      };
      return {
        stdin: input,
        stdout: bytes(watcher.stdout),
        stderr: bytes(watcher.stderr),
        async resize() {},
        async [Symbol.asyncDispose]() {
          watchers.delete(watcher);
          watcher.stdout.destroy();
          watcher.stderr.destroy();
          if (isStdinOnce && stdin) void input.end();
        },
      };
    },
    connect(main) {
      connected.resolve(main);
      for (const name of ["stdout", "stderr"] as const) {
        // A stream that breaks has ended.
        pass(main[name], name).catch(() => undefined);
      }
    },
    close() {
      connected.resolve(undefined);
      for (const watcher of watchers) {
        watcher.stdout.end();
        watcher.stderr.end();
      }
    },
  };
}

async function* bytes(stream: PassThrough): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    if (!stream.destroyed) throw error;
  }
}
