import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jobJsonSchemas, sandboxJsonSchema } from "@longshore/core";

/** Writes the JSON Schema files that `@longshore/core` publishes; a test holds them to the code. */
const directory = join(import.meta.dirname, "..", "packages", "core", "schema");
for (const [name, schema] of Object.entries({ ...jobJsonSchemas, sandbox: sandboxJsonSchema })) {
  writeFileSync(join(directory, `${name}.v1.json`), `${JSON.stringify(schema(), null, 2)}\n`);
}
