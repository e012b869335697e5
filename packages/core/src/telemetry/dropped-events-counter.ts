import { metrics, type Counter, type MeterProvider } from "@opentelemetry/api";
import type { OverflowPolicy } from "../events/event-bus.ts";

/** Counts events that a subscriber did not get, by its overflow policy. */
export function droppedEventsCounter(
  meterProvider?: MeterProvider,
): (overflow: OverflowPolicy) => void {
  // Most buses never drop anything, and the host program may register its provider after it made the bus.
  let counter: Counter | undefined;
  return (overflow) => {
    counter ??= (meterProvider ?? metrics.getMeterProvider())
      .getMeter("@longshore/core")
      .createCounter("worker_event_bus_dropped_total", {
        description: "Events that a subscriber did not get because its queue was full",
      });
    counter.add(1, { overflow });
  };
}
