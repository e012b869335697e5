import { StringDecoder } from "node:string_decoder";
import type { OutputEvent, OutputLine, OutputName } from "./sandbox-process.ts";

type Outputs = Readonly<Record<OutputName, AsyncIterable<Uint8Array>>>;

interface Source {
  readonly stream: OutputName;
  readonly iterator: AsyncIterator<Uint8Array>;
  readonly decoder: StringDecoder;
}

type Arrival = { readonly source: Source } & (
  | { readonly next: IteratorResult<Uint8Array> }
  | { readonly error: unknown }
);

/** A longer line is handed out in pieces */
const maxLineLength = 1_048_576;

/** Both outputs as text, in the order in which they arrive. Holds at most one chunk of each; leaving leaves both. */
export function outputEvents(outputs: Outputs): AsyncGenerator<OutputEvent, undefined> {
  // Taken at once, not with the first step: whoever comes second hears of it where it happens.
  const stdout = take("stdout", outputs);
  try {
    return merged([stdout, take("stderr", outputs)]);
  } catch (error) {
    // One output is nothing without the other: it must not wait for a reader that never comes.
    void stdout.iterator.return?.();
    throw error;
  }
}

function take(stream: OutputName, outputs: Outputs): Source {
  const iterator = outputs[stream][Symbol.asyncIterator]();
  return { stream, iterator, decoder: new StringDecoder("utf8") };
}

async function* merged(sources: readonly Source[]): AsyncGenerator<OutputEvent, undefined> {
  const arrived: Arrival[] = [];
  let wake = Promise.withResolvers<void>();
  const arrive = (arrival: Arrival): void => {
    arrived.push(arrival);
    wake.resolve();
  };
  const ask = (source: Source): void => {
    source.iterator.next().then(
      (next) => arrive({ source, next }),
      (error: unknown) => arrive({ source, error }),
    );
  };
  sources.forEach(ask);
  let open = sources.length;
  try {
    while (open > 0) {
      const arrival = arrived.shift();
      if (arrival === undefined) {
        // Not a race of both: one output may be silent for ever while the other is not.
        wake = Promise.withResolvers<void>();
        await wake.promise;
        continue;
      }
      if ("error" in arrival) throw arrival.error;
      const { source, next } = arrival;
      const { stream, decoder } = source;
      const data = next.done === true ? decoder.end() : decoder.write(Buffer.from(next.value));
      if (data !== "") yield { stream, data };
      if (next.done === true) open -= 1;
      else ask(source);
    }
  } finally {
    for (const { iterator } of sources) await iterator.return?.();
  }
}

/** Both outputs line by line, without the line's end; a last line without one counts. */
export function outputLines(outputs: Outputs): AsyncGenerator<OutputLine, undefined> {
  return toLines(outputEvents(outputs));
}

async function* toLines(events: AsyncIterable<OutputEvent>): AsyncGenerator<OutputLine, undefined> {
  const begun: Record<OutputName, string> = { stdout: "", stderr: "" };
  for await (const { stream, data } of events) {
    const parts = data.split("\n");
    const last = parts.pop() ?? "";
    for (const part of parts) {
      yield { stream, line: withoutReturn(begun[stream] + part) };
      begun[stream] = "";
    }
    begun[stream] += last;
    while (begun[stream].length > maxLineLength) {
      yield { stream, line: begun[stream].slice(0, maxLineLength) };
      begun[stream] = begun[stream].slice(maxLineLength);
    }
  }
  for (const stream of ["stdout", "stderr"] as const) {
    if (begun[stream] !== "") yield { stream, line: begun[stream] };
  }
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
