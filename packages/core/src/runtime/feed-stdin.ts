import type { ExecSession } from "./exec-session.ts";
import type { CommandOptions } from "./sandbox-process.ts";

/** Writes a source into a process and ends its input; stops early, without error, when the process is gone. */
export async function feedStdin(
  { stdin, exit }: Pick<ExecSession, "stdin" | "exit">,
  source: CommandOptions["stdin"],
): Promise<void> {
  if (source === undefined) return;
  if (typeof source === "string" || source instanceof Uint8Array) {
    await stdin.write(source);
    await stdin.end();
    return;
  }
  // A source may wait for ever; it is left as soon as the process is gone. One pending wait at a time: racing each piece
  // against `exit` would pile up reactions on it.
  let isOver = false;
  let leave = (): void => undefined;
  const over = (): void => {
    isOver = true;
    leave();
  };
  exit.then(over, over);
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await new Promise<IteratorResult<string | Uint8Array> | undefined>(
      (resolve, reject) => {
        leave = () => resolve(undefined);
        if (isOver) leave();
        else iterator.next().then(resolve, reject);
      },
    );
    if (next === undefined) {
      // Not awaited: a generator that waits for something answers only when that has come.
      iterator.return?.().catch(() => undefined);
      return;
    }
    if (next.done === true) break;
    await stdin.write(next.value);
  }
  await stdin.end();
}
