import type { StoredChunk } from "../rafs/chunk-info.ts";
import { fetchReasons, type FetchQueue, type FetchReason } from "./fetch-queue.ts";

/** Takes the bytes of a chunk when they have come. */
interface ChunkLanding {
  /** Everyone who waits gets the bytes now; the chunk counts as under way until `kept` settles. */
  arrived(index: number, bytes: Buffer, kept: Promise<void>): void;
  failed(index: number, error: unknown): void;
}

export interface ChunkFlightsOptions {
  readonly queue: FetchQueue;
  /** Which chunks to fetch together with this one */
  plan(index: number, reason: FetchReason): readonly StoredChunk[];
  /** Fetches them, and says of each one what became of it. Must not fail. */
  fetch(batch: readonly StoredChunk[], reason: FetchReason, landing: ChunkLanding): Promise<void>;
}

/** A chunk that will come. */
interface WantedChunk {
  /** Its verified bytes */
  readonly bytes: Promise<Buffer>;
  /** Settles when they are on disk, or cannot be put there */
  readonly kept: Promise<void>;
}

/** Chunks of one blob that are wanted or under way. Each is fetched once, however many want it. */
export interface ChunkFlights {
  /** Asks for a chunk. Wanting one again for a more urgent reason moves it forward. */
  want(index: number, reason: FetchReason): WantedChunk;
  /** Whether somebody wants it and it is not being fetched yet, for that reason or any. */
  isWaiting(index: number, reason?: FetchReason): boolean;
  /** Whether it is wanted or being fetched. */
  has(index: number): boolean;
  /** Rejects what waits; what is being fetched has to be ended by whoever fetches. */
  end(error: Error): void;
  /** Resolves when what is being fetched now has ended, and is kept. */
  settled(): Promise<void>;
}

interface Flight {
  readonly bytes: PromiseWithResolvers<Buffer>;
  readonly kept: PromiseWithResolvers<void>;
  isFetching: boolean;
}

export function chunkFlights({ queue, plan, fetch }: ChunkFlightsOptions): ChunkFlights {
  const flights = new Map<number, Flight>();
  const waiting: Readonly<Record<FetchReason, Set<number>>> = {
    demand: new Set(),
    readahead: new Set(),
    background: new Set(),
  };
  const running = new Set<Promise<void>>();

  function flightOf(index: number): Flight {
    const known = flights.get(index);
    if (known !== undefined) return known;
    const bytes = Promise.withResolvers<Buffer>();
    const kept = Promise.withResolvers<void>();
    // There may be nobody who waits for the one or the other.
    bytes.promise.catch(() => undefined);
    kept.promise.catch(() => undefined);
    const flight = { bytes, kept, isFetching: false };
    flights.set(index, flight);
    return flight;
  }

  const landing: ChunkLanding = {
    arrived(index, bytes, kept) {
      const flight = flights.get(index);
      flight?.bytes.resolve(bytes);
      flight?.kept.resolve(kept);
      const remove = (): void => {
        flights.delete(index);
      };
      void kept.then(remove, remove);
    },
    failed(index, error) {
      const flight = flights.get(index);
      flight?.bytes.reject(error);
      flight?.kept.reject(error);
      flights.delete(index);
    },
  };

  /** Takes what waits for this reason only: what became more urgent has a turn of its own. */
  async function fetchNext(reason: FetchReason): Promise<void> {
    const [index] = waiting[reason];
    // Others' requests have taken along what this turn was for.
    if (index === undefined) return;
    const batch = plan(index, reason);
    for (const chunk of batch) {
      flightOf(chunk.index).isFetching = true;
      for (const known of fetchReasons) waiting[known].delete(chunk.index);
    }
    const work = fetch(batch, reason, landing);
    running.add(work);
    await work;
    running.delete(work);
  }

  return {
    want(index, reason) {
      const flight = flightOf(index);
      const current = fetchReasons.find((known) => waiting[known].has(index));
      const isMoreUrgent =
        current === undefined || fetchReasons.indexOf(reason) < fetchReasons.indexOf(current);
      if (!flight.isFetching && isMoreUrgent) {
        if (current !== undefined) waiting[current].delete(index);
        waiting[reason].add(index);
        queue.add(reason, () => fetchNext(reason));
      }
      return { bytes: flight.bytes.promise, kept: flight.kept.promise };
    },
    isWaiting(index, reason) {
      if (reason !== undefined) return waiting[reason].has(index);
      return fetchReasons.some((known) => waiting[known].has(index));
    },
    has: (index) => flights.has(index),
    end(error) {
      for (const set of Object.values(waiting)) {
        for (const index of set) landing.failed(index, error);
        set.clear();
      }
    },
    async settled() {
      await Promise.allSettled(running);
    },
  };
}
