import { access, constants, mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  encodeJobResult,
  isJobId,
  toJobError,
  type JobTransport,
  type LeaseSink,
} from "@longshore/core";
import PQueue from "p-queue";
import { writeFileAtomically } from "./atomic-file.ts";
import { parseClaimName } from "./claim-name.ts";
import { leaseLost, openClaims, type Claim, type Claims } from "./claims.ts";
import {
  resolveOptions,
  type FileTransportOptions,
  type ResolvedOptions,
} from "./file-transport-options.ts";
import { fileAsFailed, fileAway } from "./filing.ts";
import { toTransportError } from "./fs-error.ts";
import { namesIn, watchDirectory } from "./inbox-watch.ts";
import { peek, readJobFile, type JobFile } from "./job-file.ts";
import { contentTypeOf, isJobFileName, layoutOf, makeLayout, type Layout } from "./layout.ts";
import { lockOwner, type OwnerLock } from "./owner-lock.ts";
import { progressFiles } from "./progress-file.ts";
import { RecentSet } from "./recent-set.ts";

/** Answers that are remembered, so that one that is given twice is no error */
const rememberedAnswers = 10_000;
/** A cancel request that nobody took is removed after this time */
const staleCancelMs = 3_600_000;

/** Jobs as files in a directory. The protocol is described in `docs/protocols/file-transport.md`. */
export function fileTransport(options: FileTransportOptions): JobTransport {
  return new FileTransport(resolveOptions(options));
}

class FileTransport implements JobTransport {
  readonly name: string;
  readonly leaseMs: number;
  readonly #options: ResolvedOptions;
  readonly #layout: Layout;
  readonly #queue: PQueue;
  readonly #progress: ReturnType<typeof progressFiles> | undefined;
  readonly #held = new Map<string, Claim>();
  /** Lease of each job that is held */
  readonly #leases = new Map<string, string>();
  readonly #answered = new RecentSet<string>(rememberedAnswers);
  /** Files of the inbox that wait for their turn or are looked at */
  readonly #pending = new Set<string>();
  readonly #seen = new Map<string, { readonly file: JobFile; readonly atMs: number }>();
  readonly #cancels = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #watchers: readonly AsyncDisposable[] = [];
  #claims: Claims | undefined;
  #lock: OwnerLock | undefined;
  #sink: LeaseSink | undefined;
  #isPaused = true;
  #rescan: NodeJS.Timeout | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.name = options.name;
    this.leaseMs = options.leaseMs;
    this.#layout = layoutOf(options.jobsDir, options.resultsDir);
    this.#queue = new PQueue({ concurrency: options.prefetch });
    this.#progress = options.progressFile
      ? progressFiles(options.resultsDir, (error) => {
          this.#warn(error, "progress not written");
        })
      : undefined;
  }

  async start(...[sink, { workerId, signal }]: Parameters<JobTransport["start"]>): Promise<void> {
    signal?.throwIfAborted();
    try {
      await makeLayout(this.#layout);
      this.#claims = openClaims(this.#layout, workerId, this.leaseMs);
      await mkdir(this.#claims.directory, { recursive: true });
      this.#lock = await lockOwner(this.#claims.directory, workerId, this.leaseMs);
      this.#sink = sink;
      this.#isPaused = false;
      const left = await this.#claims.left();
      await Promise.all(left.map((claim) => this.#enqueue(() => this.#deliverAgain(claim))));
      signal?.throwIfAborted();
      await this.#watch();
      void this.#scan();
      this.#rescan = setInterval(() => {
        void this.#lock?.touch().catch((error: unknown) => {
          this.#warn(error, "owner file not touched");
        });
        void this.#scan();
      }, this.leaseMs / 3);
    } catch (error) {
      await this[Symbol.asyncDispose]();
      if (signal?.aborted === true) throw signal.reason;
      throw toTransportError(error, `The jobs directory ${this.#layout.jobs} cannot be used`);
    }
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    clearInterval(this.#rescan);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) await watcher[Symbol.asyncDispose]();
    this.#queue.clear();
    await this.#queue.onIdle();
  }

  async ack(...[leaseId, result]: Parameters<JobTransport["ack"]>): Promise<void> {
    if (this.#answered.has(leaseId)) return;
    const claim = this.#claimOf(leaseId);
    await this.#io(`The answer to ${claim.name} could not be written`, async () => {
      // From here on nobody takes the file over for a whole lease: time enough to answer.
      await this.#touch(claim);
      const path = join(this.#layout.results, `${result.jobId}-result.json`);
      await writeFileAtomically(path, `${JSON.stringify(encodeJobResult(result), null, 2)}\n`);
      if (result.error === undefined) await fileAway(claim, this.#layout.done);
      else await fileAsFailed(claim, this.#layout.failed, result.error);
    });
    this.#forget(claim);
    this.#answered.add(leaseId);
  }

  async nack(...[leaseId, error, options]: Parameters<JobTransport["nack"]>): Promise<void> {
    const claim = this.#claimOf(leaseId);
    const { requeue, delayMs = 0, countAttempt = true } = options;
    await this.#io(`${claim.name} could not be given back`, async () => {
      if (!requeue) {
        await this.#touch(claim);
        await fileAsFailed(claim, this.#layout.failed, error);
        return;
      }
      const at = new Date(Date.now() + delayMs);
      const attempt = claim.attempt + Number(countAttempt);
      await this.#openClaims().giveBack(claim, attempt, at);
      this.#scanAt(at.getTime());
    });
    this.#forget(claim);
  }

  async extend(leaseId: string): Promise<void> {
    const claim = this.#claimOf(leaseId);
    await this.#io(`The lease of ${claim.name} could not be extended`, () => this.#touch(claim));
  }

  publishEvent(...[, event]: Parameters<NonNullable<JobTransport["publishEvent"]>>): void {
    this.#progress?.add(event);
  }

  async health(): ReturnType<JobTransport["health"]> {
    for (const path of [this.#layout.jobs, this.#layout.results]) {
      try {
        await access(path, constants.R_OK | constants.W_OK);
      } catch (error) {
        return { status: "unhealthy", message: toTransportError(error, path).message };
      }
    }
    return { status: "ok" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pause();
    await this.#progress?.flush();
    await this.#lock?.[Symbol.asyncDispose]();
    this.#lock = undefined;
  }

  async #watch(): Promise<void> {
    const { usePolling, pollIntervalMs } = this.#options;
    const open = (directory: string, onName: (name: string) => void): Promise<AsyncDisposable> =>
      watchDirectory(directory, {
        usePolling,
        pollIntervalMs,
        onName,
        onError: (error) => {
          this.#warn(error, "watching failed; the directory is still read now and then");
        },
      });
    this.#watchers = await Promise.all([
      open(this.#layout.jobs, (name) => {
        this.#consider(name);
      }),
      open(this.#layout.returned, (name) => {
        this.#considerReturned(name);
      }),
      open(this.#layout.cancel, (name) => {
        void this.#cancel(name);
      }),
    ]);
  }

  /** Looks at everything there is: what waits, what was given back, what dead workers left, whom to cancel. */
  async #scan(): Promise<void> {
    if (this.#isPaused) return;
    try {
      for (const name of await namesIn(this.#layout.cancel)) await this.#cancel(name);
      for (const name of await this.#inOrder()) this.#consider(name);
      for (const name of await namesIn(this.#layout.returned)) this.#considerReturned(name);
      for (const claim of await this.#openClaims().forgotten(this.#held)) {
        this.#options.logger.warn({ name: claim.name }, "job file was claimed and forgotten");
        void this.#enqueue(() => this.#deliverAgain(claim));
      }
      for (const claim of await this.#openClaims().takeOver()) {
        this.#options.logger.warn({ name: claim.name }, "job taken over from a dead worker");
        void this.#enqueue(() => this.#deliverAgain(claim));
      }
    } catch (error) {
      this.#warn(error, "the jobs directory could not be read");
    }
  }

  /** New files of the inbox by priority, age and name. One alone needs no order. */
  async #inOrder(): Promise<readonly string[]> {
    const names = (await namesIn(this.#layout.jobs)).filter(
      (name) => isJobFileName(name) && !this.#pending.has(name),
    );
    if (names.length < 2) return names;
    const ranked: { name: string; priority: number; createdAt: string }[] = [];
    const readers = new PQueue({ concurrency: 16 });
    await readers.addAll(
      names.map((name) => async () => {
        const rank = await this.#rank(name);
        ranked.push({ name, ...rank });
      }),
    );
    ranked.sort(
      (a, b) =>
        b.priority - a.priority || compare(a.createdAt, b.createdAt) || compare(a.name, b.name),
    );
    return ranked.map(({ name }) => name);
  }

  async #rank(name: string): Promise<{ priority: number; createdAt: string }> {
    try {
      const path = join(this.#layout.jobs, name);
      const file = await readJobFile(path, this.#options.maxPayloadBytes);
      const { priority = 5, createdAt = "" } =
        (file && peek(file.body, name.endsWith(".json"))) ?? {};
      return { priority, createdAt };
    } catch {
      // What cannot be read is refused when its turn comes.
      return { priority: 5, createdAt: "" };
    }
  }

  #consider(name: string): void {
    if (this.#isPaused || !isJobFileName(name) || this.#pending.has(name)) return;
    this.#pending.add(name);
    void this.#enqueue(async () => {
      try {
        await this.#take(name);
      } finally {
        this.#pending.delete(name);
      }
    });
  }

  async #take(name: string): Promise<void> {
    const path = join(this.#layout.jobs, name);
    let file: JobFile | undefined;
    let refusal: unknown;
    try {
      file = await readJobFile(path, this.#options.maxPayloadBytes);
      if (file === undefined) {
        this.#seen.delete(name);
        return;
      }
      if (!this.#isStable(name, file)) {
        this.#later(this.#options.stabilityMs, () => {
          this.#consider(name);
        });
        return;
      }
    } catch (error) {
      refusal = error;
    }
    this.#seen.delete(name);
    const claim = await this.#openClaims().claim(path, { attempt: 1, name });
    if (claim === undefined) return;
    if (refusal === undefined && file !== undefined) await this.#deliver(claim, file.body);
    else await this.#refuse(claim, refusal);
  }

  /**
   * Whether nobody writes to the file any more: it is complete JSON, or was renamed after it was last written to, or did
   * not change for the stability time.
   */
  #isStable(name: string, file: JobFile): boolean {
    const { stabilityMs, usePolling } = this.#options;
    const isJson = name.endsWith(".json");
    if (isJson && peek(file.body, true) !== undefined) return true;
    if (!usePolling) {
      if (file.changedAtMs > file.modifiedAtMs) return true;
      if (Date.now() - file.changedAtMs >= stabilityMs) return true;
    }
    // Another host's clock may be off: only what is seen here counts.
    const before = this.#seen.get(name);
    const isSame =
      before?.file.body.byteLength === file.body.byteLength &&
      before.file.modifiedAtMs === file.modifiedAtMs;
    if (before === undefined || !isSame) {
      this.#seen.set(name, { file, atMs: Date.now() });
      return stabilityMs === 0;
    }
    return Date.now() - before.atMs >= stabilityMs;
  }

  #considerReturned(fileName: string): void {
    const key = `returned/${fileName}`;
    if (this.#isPaused || this.#pending.has(key) || parseClaimName(fileName) === undefined) return;
    this.#pending.add(key);
    void this.#enqueue(async () => {
      try {
        await this.#takeReturned(fileName);
      } finally {
        this.#pending.delete(key);
      }
    });
  }

  async #takeReturned(fileName: string): Promise<void> {
    const as = parseClaimName(fileName);
    const path = join(this.#layout.returned, fileName);
    const stats = await stat(path).catch(() => undefined);
    if (as === undefined || stats === undefined) return;
    if (stats.mtimeMs > Date.now()) {
      this.#scanAt(stats.mtimeMs);
      return;
    }
    const claim = await this.#openClaims().claim(path, as);
    if (claim !== undefined) await this.#deliverAgain(claim);
  }

  /** Delivers a claimed file that is not in memory. */
  async #deliverAgain(claim: Claim): Promise<void> {
    let file: JobFile | undefined;
    try {
      file = await readJobFile(claim.path, this.#options.maxPayloadBytes);
    } catch (error) {
      await this.#refuse(claim, error);
      return;
    }
    if (file !== undefined) await this.#deliver(claim, file.body);
  }

  async #deliver(claim: Claim, body: Uint8Array): Promise<void> {
    const { leaseId, name, attempt } = claim;
    claim.jobId = peek(body, name.endsWith(".json"))?.jobId;
    this.#held.set(leaseId, claim);
    if (claim.jobId !== undefined) this.#leases.set(claim.jobId, leaseId);
    await this.#sink?.deliver({
      leaseId,
      name,
      attempt,
      body,
      contentType: contentTypeOf(name),
      subject: this.#options.subject,
    });
    if (claim.jobId !== undefined && this.#cancels.has(claim.jobId)) {
      await this.#cancel(claim.jobId);
    }
  }

  /** Puts a file aside that is not to be read. */
  async #refuse(claim: Claim, thrown: unknown): Promise<void> {
    const error = toJobError(thrown, "IO_ERROR");
    this.#options.logger.warn({ name: claim.name, code: error.code }, "job file refused");
    await fileAsFailed(claim, this.#layout.failed, error);
  }

  /** Hands a cancel request on when the job is here; keeps it in mind until the job may come. */
  async #cancel(jobId: string): Promise<void> {
    if (this.#isPaused || !isJobId(jobId)) return;
    const path = join(this.#layout.cancel, jobId);
    const stats = await stat(path).catch(() => undefined);
    if (stats === undefined) {
      this.#cancels.delete(jobId);
      return;
    }
    if (this.#leases.has(jobId)) {
      this.#cancels.delete(jobId);
      await rm(path, { force: true });
      this.#sink?.cancel({ jobId, reason: "A cancel file was put into the jobs directory." });
    } else if (stats.mtimeMs < Date.now() - staleCancelMs) {
      this.#cancels.delete(jobId);
      await rm(path, { force: true });
    } else {
      this.#cancels.add(jobId);
    }
  }

  async #touch(claim: Claim): Promise<void> {
    await this.#openClaims().touch(claim);
  }

  /** Runs a file operation; a lost lease is forgotten, anything else becomes an error of the transport. */
  async #io(message: string, operation: () => Promise<void>): Promise<void> {
    try {
      await operation();
    } catch (error) {
      throw toTransportError(error, message);
    }
  }

  #claimOf(leaseId: string): Claim {
    const claim = this.#held.get(leaseId);
    if (claim === undefined) throw leaseLost(leaseId);
    return claim;
  }

  #forget(claim: Claim): void {
    this.#held.delete(claim.leaseId);
    if (claim.jobId !== undefined && this.#leases.get(claim.jobId) === claim.leaseId) {
      this.#leases.delete(claim.jobId);
    }
  }

  #openClaims(): Claims {
    if (this.#claims === undefined) throw new Error("the transport was not started");
    return this.#claims;
  }

  async #enqueue(task: () => Promise<void>): Promise<void> {
    await this.#queue.add(task).catch((error: unknown) => {
      this.#warn(error, "job file could not be handled");
    });
  }

  #scanAt(timeMs: number): void {
    this.#later(Math.max(timeMs - Date.now(), 1), () => void this.#scan());
  }

  #later(delayMs: number, action: () => void): void {
    if (this.#isPaused) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        action();
      },
      Math.min(delayMs, this.leaseMs),
    );
    this.#timers.add(timer);
  }

  #warn(error: unknown, message: string): void {
    this.#options.logger.warn({ err: error, transport: this.name }, message);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
