export { sqliteJobStore, type SqliteJobStoreOptions } from "./sqlite-job-store.ts";
