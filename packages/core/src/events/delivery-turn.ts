/** Brings events to listeners once the code that publishes is done: one turn for everything published in one go. */
export interface DeliveryTurn {
  /** RFC 3339 time at which this turn's first event was published */
  time(): string;
  /** Calls `deliver` when the turn ends. */
  plan(deliver: () => void): void;
}

const done = Promise.resolve();

export function deliveryTurn(): DeliveryTurn {
  let planned: (() => void)[] = [];
  let isOpen = false;
  let timeMs = Number.NaN;
  let time = "";

  function open(): void {
    isOpen = true;
    // Reading the clock costs more than the rest of publishing; what is published in one go shares one reading.
    const nowMs = Date.now();
    if (nowMs !== timeMs) {
      timeMs = nowMs;
      time = new Date(nowMs).toISOString();
    }
    void done.then(end);
  }

  function end(): void {
    isOpen = false;
    const deliveries = planned;
    planned = [];
    for (const deliver of deliveries) deliver();
  }

  return {
    time() {
      if (!isOpen) open();
      return time;
    },
    plan(deliver) {
      if (!isOpen) open();
      planned.push(deliver);
    },
  };
}
