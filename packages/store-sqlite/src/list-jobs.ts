import { LongshoreError, pageLimit, type JobPage, type JobQuery } from "@longshore/core";
import { jobRowSelect, toRecord, type JobRow } from "./job-row.ts";
import type { CountOperation, ListOperation } from "./operation.ts";

/**
 * The query for one page of records, in the order in which they were stored.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function listOperation(query: JobQuery): ListOperation {
  const isOldestFirst = query.order === "oldest";
  const { conditions, values } = conditionsOf(query);
  if (query.cursor !== undefined) {
    conditions.push(`jobs.seq ${isOldestFirst ? ">" : "<"} ?`);
    values.push(parseCursor(query.cursor));
  }
  // One more than the page holds tells whether there is another page.
  values.push(pageLimit(query) + 1);
  const order = isOldestFirst ? "ASC" : "DESC";
  const sql = `${jobRowSelect} ${where(conditions)} ORDER BY jobs.seq ${order} LIMIT ?`;
  return ["list", sql, values];
}

/** The query for how many records there are. */
export function countOperation(query: JobQuery): CountOperation {
  const { conditions, values } = conditionsOf(query);
  const documents = query.labels === undefined ? "" : "JOIN documents USING (seq)";
  const sql = `SELECT namespace, operation, count(*) AS count FROM jobs ${documents} ${where(conditions)}
    GROUP BY namespace, operation`;
  return ["countJobs", sql, values];
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
}

function conditionsOf(query: JobQuery): { conditions: string[]; values: (string | number)[] } {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, ...parameters: readonly string[]): void => {
    conditions.push(condition);
    values.push(...parameters);
  };
  if (query.states !== undefined) {
    add(`state IN (${query.states.map(() => "?").join(", ")})`, ...query.states);
  }
  if (query.operation !== undefined) add("operation = ?", query.operation);
  if (query.namespace !== undefined) add("namespace = ?", query.namespace);
  for (const [key, value] of Object.entries(query.labels ?? {})) {
    add("document ->> ? = ?", `$.metadata.labels.${JSON.stringify(key)}`, value);
  }
  return { conditions, values };
}

/** The page that the rows of {@link listOperation} make. */
export function toPage(query: JobQuery, rows: readonly JobRow[]): JobPage {
  const limit = pageLimit(query);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    records: page.map(toRecord),
    ...(last !== undefined && rows.length > limit && { nextCursor: formatCursor(last.seq) }),
  };
}

function formatCursor(seq: number): string {
  return Buffer.from(`seq:${seq}`).toString("base64url");
}

function parseCursor(cursor: string): number {
  const seq = /^seq:(\d{1,16})$/.exec(Buffer.from(cursor, "base64url").toString())?.[1];
  if (seq !== undefined) return Number(seq);
  throw new LongshoreError("VALIDATION_ERROR", "The cursor is not one that this store gave.", {
    details: { field: "cursor" },
  });
}
