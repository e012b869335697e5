import { LongshoreError } from "@longshore/core";

/** A name that one caller has, from the start of a call until removal. */
export interface Reservation extends Disposable {
  /** What the call that makes the thing is busy with, for others who want the name */
  stage: string;
  /** Set once the thing is there */
  id?: string;
}

/** Names of sandboxes, and of containers in their sandbox. */
export interface Reservations {
  /** @throws {LongshoreError} `STATE_CONFLICT`, which says who has the name or how far the other call is */
  reserve(key: string, what: string): Reservation;
}

export function reservations(): Reservations {
  const taken = new Map<string, Reservation>();
  return {
    reserve(key, what) {
      const other = taken.get(key);
      if (other !== undefined) throw conflict(other, what);
      const reservation: Reservation = {
        stage: "start",
        [Symbol.dispose]() {
          if (taken.get(key) === reservation) taken.delete(key);
        },
      };
      taken.set(key, reservation);
      return reservation;
    },
  };
}

function conflict({ id, stage }: Reservation, what: string): LongshoreError {
  if (id !== undefined) {
    return new LongshoreError("STATE_CONFLICT", `${what} exists: ${id}.`, { details: { id } });
  }
  return new LongshoreError(
    "STATE_CONFLICT",
    `${what} is being made by another call, which is at: ${stage}.`,
    { details: { stage }, retryable: true },
  );
}
