import type { Abortable } from "../abortable.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { TransportFactory } from "../plugin/plugin.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import { raceAbort } from "./abort-race.ts";
import type { TransportConfig } from "./worker-options.ts";

/**
 * Opens the transports that are still configuration. When one cannot be opened, those before it are closed again.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for a type that nobody offers, a factory that fails or makes no transport, and
 *   two transports of one name; whatever other `LongshoreError` a factory throws
 */
export async function openTransports(
  wanted: readonly (JobTransport | TransportConfig)[],
  factories: ReadonlyMap<string, TransportFactory>,
  { signal }: Abortable = {},
): Promise<readonly JobTransport[]> {
  const opened: JobTransport[] = [];
  try {
    for (const transport of wanted) {
      if (isOpened(transport)) {
        opened.push(transport);
        continue;
      }
      const opening = openTransport(transport, factories);
      try {
        opened.push(await raceAbort(opening, signal));
      } catch (error) {
        closeLate(opening);
        throw error;
      }
    }
    const names = opened.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) {
      throw new LongshoreError("CONFIG_ERROR", `Two transports are named "${twice}".`);
    }
  } catch (error) {
    await Promise.allSettled(opened.map((transport) => transport[Symbol.asyncDispose]()));
    throw error;
  }
  return opened;
}

async function openTransport(
  { type, ...config }: TransportConfig,
  factories: ReadonlyMap<string, TransportFactory>,
): Promise<JobTransport> {
  const factory = factories.get(type);
  if (factory === undefined) {
    const known = [...factories.keys()];
    throw new LongshoreError(
      "CONFIG_ERROR",
      `No plugin offers the transport type "${type}"; known: ${known.join(", ") || "none"}.`,
      { details: { type, known } },
    );
  }
  let transport: unknown;
  try {
    transport = await factory(config);
  } catch (error) {
    if (isLongshoreError(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw cannotOpen(type, reason, error);
  }
  if (isTransport(transport)) return transport;
  throw cannotOpen(type, "what its plugin made is no transport");
}

function cannotOpen(type: string, reason: string, cause?: unknown): LongshoreError {
  return new LongshoreError(
    "CONFIG_ERROR",
    `The transport of type "${type}" could not be opened: ${reason.replace(/\.$/, "")}.`,
    { cause, details: { type } },
  );
}

/** Closes a transport that comes when nobody waits for it any more. */
function closeLate(opening: Promise<JobTransport>): void {
  opening
    .then((transport) => transport[Symbol.asyncDispose]())
    .catch(() => {
      // The start has failed already, and says why.
    });
}

function isOpened(transport: JobTransport | TransportConfig): transport is JobTransport {
  return !("type" in transport);
}

function isTransport(value: unknown): value is JobTransport {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "start" in value &&
    typeof value.start === "function" &&
    Symbol.asyncDispose in value
  );
}
