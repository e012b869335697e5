import type { ApiClient } from "./api-client.ts";

/** Operations that the worker must have. Times of jobs are up to them. */
export interface WorkerHttpApiOperations {
  /** Completes at once, with its input as `data.echo`, e.g. `system.echo` */
  readonly echo: string;
  /** Reports progress at least twice a second and runs until it is cancelled */
  readonly endless: string;
  /** Fails at once */
  readonly failing: string;
  /** Makes the artifact `out/digits.txt` with the content `0123456789` */
  readonly artifact: string;
}

/** What the cases work with. */
export interface ApiFixture {
  readonly api: ApiClient;
  readonly operations: WorkerHttpApiOperations;
  /** A job id that no other case has */
  newId(): string;
  /** Submits a job, which must be taken, and gives back its id. */
  submit(operation: string, more?: Readonly<Record<string, unknown>>): Promise<string>;
}

/**
 * Declares a case that gets the fixture.
 *
 * @param skipReason why it cannot be run here
 */
export type DeclareApiCase = (
  title: string,
  run: (fixture: ApiFixture) => Promise<void>,
  skipReason?: string,
) => void;
