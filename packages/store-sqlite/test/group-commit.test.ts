import { DatabaseSync } from "node:sqlite";
import { sampleJob } from "@longshore/testkit";
import { describe, expect, it } from "vitest";
import { groupCommit } from "../src/group-commit.ts";
import { insertOperation } from "../src/insert-call.ts";
import { openDatabase } from "../src/open-database.ts";
import { migrate } from "../src/schema.ts";
import { createStoreDirectory } from "./store-process.ts";

describe("groupCommit", () => {
  it("gives operations up when another process holds the database for too long", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const database = openDatabase({ path, synchronous: "normal" });
    migrate(database);
    const commits = groupCommit(database, { busyLimitMs: 5 });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const insert = insertOperation(sampleJob("w1"), 0);
    const { count, outcomes } = commits.commit([insert, ["get", insert[1]]]);
    expect(count).toBe(2);
    for (const index of [0, 1]) {
      expect(outcomes.get(index)).toMatchObject({ message: "database is locked" });
    }
    // Reading waits for nobody.
    expect(commits.commit([["get", insert[1]]]).outcomes.size).toBe(0);
    other.exec("ROLLBACK");
    expect(commits.commit([insert]).outcomes.size).toBe(0);
    other.close();
    database.close();
  });

  it("moves the log into the database when it is worth it", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const database = openDatabase({ path, synchronous: "normal" });
    migrate(database);
    const commits = groupCommit(database);
    const jobsInFile = (): number => {
      // Without the log: what has reached the database itself.
      const bare = new DatabaseSync(`file:${path}?immutable=1`, { readOnly: true });
      const row = bare.prepare("SELECT count(*) AS jobs FROM jobs").get();
      bare.close();
      return Number(row?.["jobs"]);
    };
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    const insert = (): void => {
      commits.commit([insertOperation(sampleJob("w1"), 0)]);
    };
    insert();
    commits.checkpoint("idle");
    expect(jobsInFile()).toBe(0);
    for (let jobs = 1; jobs < 100; jobs += 1) insert();
    commits.checkpoint("busy");
    expect(jobsInFile()).toBe(0);
    commits.checkpoint("idle");
    expect(jobsInFile()).toBe(100);
    database.close();
  });
});
