/* Commits what "owner" holds, and says when it begins. Argument: directory of the store. */
import { writeSync } from "node:fs";
import { openNydusImageStore } from "../../src/index.ts";

const store = await openNydusImageStore({ directory: process.argv[2] ?? "" });
writeSync(1, "begins\n");
await store.commitRootfs("owner", { reference: "made" });
