import { LongshoreError, type DriverAvailability, type SandboxDriver } from "@longshore/core";
import { within } from "./turn-queue.ts";

/** The drivers by name, and what is known of whether they work here. */
export interface DriverSet {
  readonly names: readonly string[];
  readonly defaultName: string;
  get(name: string): SandboxDriver | undefined;
  /** As it was when last looked; never asks. */
  availability(name: string): DriverAvailability;
  /** Looks again at those that were not looked at lately; a probe that hangs is not waited for. */
  refresh(signal?: AbortSignal): Promise<void>;
  /**
   * The driver a sandbox asks for, which works here.
   *
   * @param handler its name; `""` for the default one
   * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` for a name that is none, `RUNTIME_UNAVAILABLE`
   */
  require(handler: string, signal?: AbortSignal): Promise<SandboxDriver>;
}

const probeTimeoutMs = 5_000;
const freshMs = 10_000;

export function driverSet(drivers: readonly SandboxDriver[], defaultName: string): DriverSet {
  const byName = new Map(drivers.map((driver) => [driver.name, driver]));
  if (drivers.length === 0) throw new RangeError("an engine needs at least one driver");
  if (byName.size !== drivers.length || byName.has("")) {
    throw new TypeError("each driver needs a name of its own, which is not empty");
  }
  if (!byName.has(defaultName)) {
    throw new TypeError(
      `the default handler "${defaultName}" is none of: ${[...byName.keys()].join(", ")}`,
    );
  }
  const known = new Map<
    string,
    { readonly availability: DriverAvailability; readonly atMs: number }
  >();
  const probing = new Map<string, Promise<void>>();

  const probe = (driver: SandboxDriver): Promise<void> => {
    const running = probing.get(driver.name);
    if (running !== undefined) return running;
    const fresh = ask(driver).then((availability) => {
      known.set(driver.name, { availability, atMs: performance.now() });
      probing.delete(driver.name);
    });
    probing.set(driver.name, fresh);
    return fresh;
  };

  const availability = (name: string): DriverAvailability =>
    known.get(name)?.availability ?? { isAvailable: false, reason: "It was not looked at yet." };

  return {
    names: [...byName.keys()],
    defaultName,
    get: (name) => byName.get(name),
    availability,
    async refresh() {
      const now = performance.now();
      const old = drivers.filter(
        ({ name }) => now - (known.get(name)?.atMs ?? -Infinity) > freshMs,
      );
      await Promise.all(old.map((driver) => within(probe(driver), probeTimeoutMs)));
    },
    async require(handler, signal) {
      const name = handler === "" ? defaultName : handler;
      const driver = byName.get(name);
      if (driver === undefined) {
        throw new LongshoreError(
          "RUNTIME_NOT_SUPPORTED",
          `No runtime handler is ${JSON.stringify(name.slice(0, 100))}; there are: ${[...byName.keys()].join(", ")}.`,
          { details: { runtimeHandler: name.slice(0, 100), known: [...byName.keys()] } },
        );
      }
      if (!availability(name).isAvailable) await within(probe(driver), probeTimeoutMs);
      signal?.throwIfAborted();
      const state = availability(name);
      if (state.isAvailable) return driver;
      const fix = state.fix === undefined ? "" : ` ${state.fix}`;
      throw new LongshoreError(
        "RUNTIME_UNAVAILABLE",
        `The runtime handler "${name}" does not work here: ${state.reason}${fix}`,
        { details: { runtimeHandler: name } },
      );
    },
  };
}

async function ask(driver: SandboxDriver): Promise<DriverAvailability> {
  try {
    return await driver.probe();
  } catch (error) {
    return { isAvailable: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
