import type { EventBus, EventEnvelope, EventListener, EventStream } from "@longshore/core";

/** What an event bus must be able to report for the suite to watch it. */
export interface BusHooks {
  onListenerError(error: unknown, event: EventEnvelope): void;
}

/** Makes the bus of one case. The case disposes it. */
export type CreateBus = (hooks: BusHooks) => EventBus | Promise<EventBus>;

/** A bus, and what its error hook was told. */
export interface BusFixture extends AsyncDisposable {
  readonly bus: EventBus;
  readonly errors: { readonly error: unknown; readonly event: EventEnvelope }[];
}

export async function openBus(create: CreateBus): Promise<BusFixture> {
  const errors: BusFixture["errors"] = [];
  const bus = await create({ onListenerError: (error, event) => errors.push({ error, event }) });
  return { bus, errors, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
}

/** A listener that keeps the data of what it is told. */
export function collect(): { readonly data: unknown[]; readonly listener: EventListener } {
  const data: unknown[] = [];
  return {
    data,
    listener(event) {
      data.push(event.data);
    },
  };
}

/** The data of the next events of a stream, in order; fewer when it ends. */
export async function take(stream: EventStream, count: number): Promise<unknown[]> {
  const iterator = stream[Symbol.asyncIterator]();
  const data: unknown[] = [];
  while (data.length < count) {
    const result = await iterator.next();
    if (result.done === true) break;
    const event: EventEnvelope = result.value;
    data.push(event.data);
  }
  return data;
}

/** A door that is opened once. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
