import { EventEmitter } from "eventemitter3";
import { eventTopic, memoryEventBus, type EventBus } from "@longshore/core";
import { printTable, type Row } from "./table.ts";

/** Events of one round; published in bursts, because listeners run once the publisher is done. */
const eventsPerRound = 100_000;
const burst = 500;
const rounds = 25;

interface BenchCase {
  readonly name: string;
  readonly target?: string;
  /** Publishes one event and nothing else */
  readonly publish: (number: number) => void;
  /** Events that have reached a listener */
  readonly received: () => number;
  readonly expected: number;
}

/** Nanoseconds per event, received and all. */
async function timeRound({ publish }: BenchCase): Promise<number> {
  const startedAt = performance.now();
  for (let first = 0; first < eventsPerRound; first += burst) {
    for (let number = first; number < first + burst; number += 1) publish(number);
    // Lets the listeners take the burst.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return ((performance.now() - startedAt) * 1e6) / eventsPerRound;
}

function emitterCase(): BenchCase {
  const emitter = new EventEmitter<Record<string, (data: unknown) => void>>();
  let received = 0;
  emitter.on("job.j1.running", () => {
    received += 1;
  });
  return {
    name: "bare eventemitter3, one listener",
    publish: (number) => void emitter.emit("job.j1.running", { number }),
    received: () => received,
    expected: eventsPerRound * rounds,
  };
}

/** Subscriptions of every kind, none of which matches what is published. */
function addBystanders(bus: EventBus, count: number): void {
  for (let number = 0; number < count; number += 1) {
    const id = `bystander-${number}`;
    const patterns = [
      `job.${id}.running`,
      `job.${id}.*`,
      `*.${id}.running`,
      `sandbox-${number}.**`,
    ];
    bus.on(patterns[number % patterns.length] ?? "", () => {});
  }
}

interface BusCase {
  readonly bus: EventBus;
  readonly name: string;
  readonly target?: string;
  readonly subscriptions: number;
  /** The one subscription that matches */
  readonly pattern?: string;
  readonly topics: "one" | "ten" | "new";
}

function busCase({ bus, name, target, subscriptions, pattern, topics }: BusCase): BenchCase {
  addBystanders(bus, subscriptions - (pattern === undefined ? 0 : 1));
  let received = 0;
  if (pattern !== undefined) {
    bus.on(pattern, () => {
      received += 1;
    });
  }
  const known = Array.from({ length: topics === "ten" ? 10 : 1 }, (_, number) =>
    eventTopic("job", `j${number + 1}`, "running"),
  );
  let published = 0;
  return {
    name,
    ...(target !== undefined && { target }),
    publish:
      topics === "new"
        ? (number) => {
            published += 1;
            void bus.publish(eventTopic("job", `n${published}`, "running"), { number });
          }
        : (number) => void bus.publish(known[number % known.length] ?? "", { number }),
    received: () => received,
    expected: pattern === undefined ? 0 : eventsPerRound * rounds,
  };
}

/** Publishes per second of the in-process bus, beside a bare emitter with one listener. */
export async function benchEventBus(): Promise<Row[]> {
  await using buses = ownedBuses();
  const baseline = emitterCase();
  const cases = [
    baseline,
    ...[10, 100, 1_000, 10_000].map((subscriptions) =>
      busCase({
        bus: buses.open(),
        name: `bus, ${subscriptions} subscriptions, one matches`,
        target: "ratio <= 3, flat",
        subscriptions,
        pattern: "job.j1.*",
        topics: "one",
      }),
    ),
    busCase({
      bus: buses.open(),
      name: "bus, 10000 subscriptions, ten topics in turn",
      subscriptions: 10_000,
      pattern: "job.**",
      topics: "ten",
    }),
    busCase({
      bus: buses.open(),
      name: "bus, 10000 subscriptions, every topic new",
      subscriptions: 10_000,
      pattern: "job.**",
      topics: "new",
    }),
    busCase({
      bus: buses.open(),
      name: "bus, 10000 subscriptions, nobody listens",
      target: "ratio <= 1",
      subscriptions: 10_000,
      topics: "one",
    }),
  ];
  // Round by round, so that whatever else the machine does hits every case alike; the best round counts.
  const best = cases.map(() => Infinity);
  for (let round = 0; round < rounds; round += 1) {
    for (const [place, benchCase] of cases.entries()) {
      best[place] = Math.min(best[place] ?? Infinity, await timeRound(benchCase));
    }
  }
  return cases.map((benchCase, place) => toRow(benchCase, best, place));
}

function toRow(benchCase: BenchCase, best: readonly number[], place: number): Row {
  const { name, target, expected } = benchCase;
  if (benchCase.received() !== expected) {
    throw new Error(`${name}: ${benchCase.received()} of ${expected} events arrived.`);
  }
  const nanoseconds = best[place] ?? Infinity;
  return {
    name,
    value: 1e9 / nanoseconds,
    unit: "events/s",
    ratio: nanoseconds / (best[0] ?? Infinity),
    ...(target !== undefined && { target }),
  };
}

function ownedBuses(): AsyncDisposable & { open(): EventBus } {
  const buses: EventBus[] = [];
  return {
    open() {
      const bus = memoryEventBus();
      buses.push(bus);
      return bus;
    },
    async [Symbol.asyncDispose]() {
      for (const bus of buses) await bus[Symbol.asyncDispose]();
    },
  };
}

if (import.meta.main) {
  printTable("Event bus (ratio: time per event, against the bare emitter)", await benchEventBus());
}
