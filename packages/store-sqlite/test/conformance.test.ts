import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeJobStoreConformance } from "@longshore/testkit";
import { afterAll } from "vitest";
import { sqliteJobStore } from "../src/index.ts";

const directory = mkdtempSync(join(tmpdir(), "longshore-sqlite-"));
let count = 0;
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describeJobStoreConformance("sqlite", {
  create: (options) => {
    count += 1;
    return sqliteJobStore({ path: join(directory, `${count}.db`), ...options });
  },
});
