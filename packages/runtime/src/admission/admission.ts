import { LongshoreError, type Abortable } from "@longshore/core";
import { abortable } from "../engine/turn-queue.ts";
import { addDemands, dimensions, type Demand } from "./demand.ts";

export interface Quota extends Partial<Demand> {
  readonly sandboxes?: number | undefined;
}

export interface AdmissionOptions {
  /** What all sandboxes together may be promised. @default what the machine has */
  readonly capacity?: Partial<Demand> | undefined;
  /** Sandboxes at a time. @default no limit */
  readonly maxSandboxes?: number | undefined;
  /** What one subject may have; subjects that get `undefined` are not limited. @default no quotas */
  readonly quota?: ((subject: string) => Quota | undefined) | undefined;
  /** Whether a sandbox that names no subject is refused. @default true with `quota`, else false */
  readonly requireSubject?: boolean | undefined;
  /** Calls that may wait for room. 0: nobody waits. @default 64 */
  readonly maxWaiting?: number | undefined;
  /** How long a call waits for room. @default 30_000 */
  readonly waitTimeoutMs?: number | undefined;
}

interface Request {
  readonly id: string;
  readonly subject: string | undefined;
  readonly demand: Demand;
}

/**
 * Promises each sandbox what it may use, and no more than there is. First what can never fit is refused, then what is over
 * a subject's quota; the rest waits for room, in the order in which it came: a small one does not overtake a large one.
 */
export interface Admission {
  /**
   * Resolves when there is room, which is then taken until `release`.
   *
   * @throws {LongshoreError} `ADMISSION_INFEASIBLE`, `ADMISSION_DENIED`, `POOL_EXHAUSTED`
   */
  admit(request: Request, options?: Abortable): Promise<void>;
  /** Takes room without asking: what runs already. */
  recount(request: Request): void;
  /**
   * Changes what a sandbox has; less always fits, more must fit at once.
   *
   * @throws {LongshoreError} as `admit`
   */
  change(id: string, demand: Demand): void;
  /** Idempotent. */
  release(id: string): void;
  /** What is promised at present, for `status` */
  usage(): { readonly promised: Demand; readonly capacity: Demand; readonly waiting: number };
}

const unlimited: Demand = { cpuMillis: Infinity, memoryBytes: Infinity, pids: Infinity };

/** @param machine capacity for what the options do not say; absent: no limit */
export function admission(options: AdmissionOptions = {}, machine: Demand = unlimited): Admission {
  const { quota, maxWaiting = 64, waitTimeoutMs = 30_000, maxSandboxes = Infinity } = options;
  const { requireSubject = quota !== undefined } = options;
  const capacity = filled(machine, options.capacity);
  const admitted = new Map<string, Request>();
  let queue: { readonly request: Request; readonly turn: PromiseWithResolvers<void> }[] = [];

  const promised = (): Demand => addDemands([...admitted.values()].map(({ demand }) => demand));

  const hasRoom = ({ id, demand }: Request): boolean => {
    const others = [...admitted.values()].filter((other) => other.id !== id);
    const total = addDemands([...others.map((other) => other.demand), demand]);
    return others.length < maxSandboxes && dimensions.every((one) => total[one] <= capacity[one]);
  };

  const checkFeasible = ({ demand }: Request): void => {
    const over = dimensions.find((one) => demand[one] > capacity[one]);
    if (over === undefined && maxSandboxes > 0) return;
    const which = over ?? "cpuMillis";
    throw new LongshoreError(
      "ADMISSION_INFEASIBLE",
      `The sandbox may use ${demand[which]} of ${which}, and there are never more than ${capacity[which]}.`,
      { details: { dimension: which, wanted: demand[which], capacity: capacity[which] } },
    );
  };

  const checkQuota = ({ id, subject, demand }: Request): void => {
    if (subject === undefined) {
      if (!requireSubject) return;
      throw denied("A sandbox must say for whom it is.", { subject: "" });
    }
    const limits = quota?.(subject);
    if (limits === undefined) return;
    const theirs = [...admitted.values()].filter((one) => one.subject === subject && one.id !== id);
    const total = addDemands([...theirs.map((one) => one.demand), demand]);
    const wanted: Required<Quota> = { ...total, sandboxes: theirs.length + 1 };
    for (const one of ["sandboxes", ...dimensions] as const) {
      const limit = limits[one] ?? Infinity;
      if ((wanted[one] ?? 0) <= limit) continue;
      const details = { subject, dimension: one, wanted: wanted[one], quota: limit };
      throw denied(
        `${subject} may have ${limit} of ${one}, and would have ${wanted[one]}.`,
        details,
      );
    }
  };

  const advance = (): void => {
    for (let next = queue[0]; next !== undefined && hasRoom(next.request); next = queue[0]) {
      queue.shift();
      try {
        // Others of the same subject were let in while it waited.
        checkQuota(next.request);
        admitted.set(next.request.id, next.request);
        next.turn.resolve();
      } catch (error) {
        next.turn.reject(error);
      }
    }
  };

  return {
    async admit(request, { signal } = {}) {
      signal?.throwIfAborted();
      checkFeasible(request);
      checkQuota(request);
      if (queue.length === 0 && hasRoom(request)) {
        admitted.set(request.id, request);
        return;
      }
      if (queue.length >= maxWaiting) throw exhausted("and too many wait already", { maxWaiting });
      const turn = Promise.withResolvers<void>();
      const waiter = { request, turn };
      queue.push(waiter);
      const timer = setTimeout(
        () => turn.reject(exhausted(`since ${waitTimeoutMs} ms`, { waitTimeoutMs })),
        Math.min(waitTimeoutMs, 2 ** 31 - 1),
      );
      try {
        await abortable(turn.promise, signal);
      } catch (error) {
        // The turn may have come in the same moment.
        admitted.delete(request.id);
        throw error;
      } finally {
        clearTimeout(timer);
        queue = queue.filter((one) => one !== waiter);
        advance();
      }
    },
    recount(request) {
      admitted.set(request.id, request);
    },
    change(id, demand) {
      const before = admitted.get(id);
      if (before === undefined) return;
      const request = { ...before, demand };
      if (dimensions.some((one) => demand[one] > before.demand[one])) {
        checkFeasible(request);
        checkQuota(request);
        if (!hasRoom(request)) throw exhausted("for what the container may use", { id });
      }
      admitted.set(id, request);
      advance();
    },
    release(id) {
      if (admitted.delete(id)) advance();
    },
    usage: () => ({ promised: promised(), capacity, waiting: queue.length }),
  };
}

function filled(machine: Demand, given: Partial<Demand> = {}): Demand {
  for (const one of dimensions) {
    const value = given[one];
    if (value !== undefined && !(value >= 0))
      throw new RangeError(`capacity.${one} must be 0 or more, got ${value}`);
  }
  return {
    cpuMillis: given.cpuMillis ?? machine.cpuMillis,
    memoryBytes: given.memoryBytes ?? machine.memoryBytes,
    pids: given.pids ?? machine.pids,
  };
}

function denied(message: string, details: Readonly<Record<string, unknown>>): LongshoreError {
  return new LongshoreError("ADMISSION_DENIED", message, { details });
}

function exhausted(what: string, details: Readonly<Record<string, unknown>>): LongshoreError {
  return new LongshoreError("POOL_EXHAUSTED", `There is no room for the sandbox, ${what}.`, {
    details,
    retryAfterMs: 1_000,
  });
}
