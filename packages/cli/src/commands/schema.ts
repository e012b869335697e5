import {
  configJsonSchema,
  jobJsonSchemas,
  LongshoreError,
  sandboxJsonSchema,
} from "@longshore/core";
import { exitCodes } from "../exit-codes.ts";
import { openTerminal } from "../terminal.ts";

/** Prints the JSON Schema of a document, always as JSON. */
export function printSchema(name: string): number {
  const schemas: Record<string, () => Record<string, unknown>> = {
    ...jobJsonSchemas,
    sandbox: sandboxJsonSchema,
    config: configJsonSchema,
  };
  const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
  if (schema === undefined) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `There is no schema "${name}"; there are ${Object.keys(schemas).join(", ")}.`,
    );
  }
  openTerminal({}).print(JSON.stringify(schema(), null, 2));
  return exitCodes.ok;
}
