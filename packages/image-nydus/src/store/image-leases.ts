import type { StatementSync } from "node:sqlite";
import type { LeaseRow } from "./image-rows.ts";
import { isAlive, ownProcess, type ProcessIdentity } from "./process-identity.ts";

/** What was forgotten. */
interface Collection extends Disposable {
  readonly images: readonly string[];
  readonly blobIds: readonly string[];
}

/** Who adds to a store and who deletes from it: never both at the same time, in whatever processes they are. */
export interface ImageLeases {
  /**
   * Says that this process adds to the store: nothing is deleted until the lease is disposed, or the process ends.
   * `undefined` while files are being deleted.
   */
  tryLease(purpose: string): Disposable | undefined;
  /**
   * Forgets images without a name or an owner, and blobs that no image needs. Until it is disposed, or the process ends,
   * nobody adds to the store, so that the files can be deleted. `undefined`, and nothing is forgotten, while anyone holds a
   * lease.
   */
  tryCollect(): Collection | undefined;
  /** Who adds to the store or deletes from it right now. */
  leases(): readonly (ProcessIdentity & { readonly purpose: string })[];
}

export interface ImageLeasesOptions {
  /** Prepares a statement, or takes the one that is there */
  readonly sql: (text: string) => StatementSync;
  readonly inTransaction: <T>(operation: () => T) => T;
  readonly isOpen: () => boolean;
}

/** The leases in the database of a store. */
export function imageLeases({ sql, inTransaction, isOpen }: ImageLeasesOptions): ImageLeases {
  /** Part of a transaction. */
  function addLease(kind: LeaseRow["kind"], purpose: string): Disposable {
    const { pid, started } = ownProcess();
    const { lastInsertRowid } = sql(
      "INSERT INTO leases (kind, pid, process_started, purpose) VALUES (?, ?, ?, ?)",
    ).run(kind, pid, started, purpose);
    let isHeld = true;
    return {
      [Symbol.dispose]() {
        if (!isHeld || !isOpen()) return;
        isHeld = false;
        inTransaction(() => sql("DELETE FROM leases WHERE lease_no = ?").run(lastInsertRowid));
      },
    };
  }

  /** Part of a transaction. */
  function liveLeases(): readonly LeaseRow[] {
    const all = sql("SELECT * FROM leases").all() as unknown as readonly LeaseRow[];
    return all.filter((lease) => {
      const lives = isAlive({ pid: lease.pid, started: lease.process_started });
      if (!lives) sql("DELETE FROM leases WHERE lease_no = ?").run(lease.lease_no);
      return lives;
    });
  }

  return {
    tryLease: (purpose) =>
      inTransaction(() =>
        liveLeases().some(({ kind }) => kind === "delete") ? undefined : addLease("add", purpose),
      ),
    tryCollect: () =>
      inTransaction(() => {
        if (liveLeases().length > 0) return undefined;
        const images = sql(
          `DELETE FROM images WHERE pinned = 0
             AND NOT EXISTS (SELECT 1 FROM names WHERE names.image_id = images.image_id)
             AND NOT EXISTS (SELECT 1 FROM owners WHERE owners.image_id = images.image_id)
           RETURNING image_id`,
        ).all();
        const bootstraps = sql(
          `DELETE FROM blobs WHERE kind = 'bootstrap'
             AND NOT EXISTS (SELECT 1 FROM images WHERE bootstrap_id = blob_id)
             AND NOT EXISTS (SELECT 1 FROM owners WHERE bootstrap_id = blob_id)
           RETURNING blob_id`,
        ).all();
        const data = sql(
          `DELETE FROM blobs WHERE kind <> 'bootstrap' AND NOT EXISTS
             (SELECT 1 FROM bootstrap_blobs WHERE bootstrap_blobs.blob_no = blobs.blob_no)
           RETURNING blob_id`,
        ).all();
        const lease = addLease("delete", "collect");
        return {
          images: images.map((found) => String(found["image_id"])),
          blobIds: [...bootstraps, ...data].map((found) => String(found["blob_id"])),
          [Symbol.dispose]: lease[Symbol.dispose],
        };
      }),
    leases: () =>
      inTransaction(liveLeases).map(({ pid, process_started: started, purpose }) => ({
        pid,
        started,
        purpose,
      })),
  };
}
