/** Brings events to listeners once the code that publishes is done: one turn for everything published in one go. */
export interface DeliveryTurn {
  /** Time in ms since the epoch at which this turn's first event was published */
  nowMs(): number;
  /** Calls `deliver` when the turn ends. */
  plan(deliver: () => void): void;
}

const done = Promise.resolve();

export function deliveryTurn(): DeliveryTurn {
  let planned: (() => void)[] = [];
  let isOpen = false;
  let startedAtMs = 0;

  function open(): void {
    isOpen = true;
    // Reading the clock costs more than the rest of publishing; what is published in one go shares one reading.
    startedAtMs = Date.now();
    void done.then(end);
  }

  function end(): void {
    isOpen = false;
    const deliveries = planned;
    planned = [];
    for (const deliver of deliveries) deliver();
  }

  return {
    nowMs() {
      if (!isOpen) open();
      return startedAtMs;
    },
    plan(deliver) {
      if (!isOpen) open();
      planned.push(deliver);
    },
  };
}
