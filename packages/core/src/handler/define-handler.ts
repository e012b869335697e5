import type { Handler } from "./handler.ts";

const operationPattern = /^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*\.([a-z0-9][a-z0-9_-]*|\*)$/;

/**
 * A handler whose payload and result types come from its schemas.
 *
 * @throws {TypeError} for a name or operation that is not one
 */
export function defineHandler<Payload, Result>(
  definition: Handler<Payload, Result>,
): Handler<Payload, Result> {
  if (definition.name === "") throw new TypeError("a handler needs a name");
  if (definition.operations.length === 0) {
    throw new TypeError(`handler "${definition.name}" names no operation`);
  }
  for (const operation of definition.operations) {
    if (!operationPattern.test(operation)) {
      throw new TypeError(
        `handler "${definition.name}": "${operation}" is neither an operation like "disk.inspect" nor a pattern like "disk.*"`,
      );
    }
  }
  return definition;
}
