import type { Handler } from "./handler.ts";

/** Names with dots between them; the last one may be `*` */
const operationPattern = /^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*\.([a-z0-9][a-z0-9_-]*|\*)$/;
const maxOperationLength = 200;

/**
 * A handler whose payload and result types come from its schemas.
 *
 * @throws {TypeError} for a definition that no worker could use: no name, no `execute`, an operation that is none, or
 *   is there twice
 */
export function defineHandler<Payload, Result>(
  definition: Handler<Payload, Result>,
): Handler<Payload, Result> {
  assertHandler(definition);
  return definition;
}

/** What `defineHandler` checks, for handlers that come from somewhere else. @throws {TypeError} */
export function assertHandler(handler: Handler): void {
  const { name, operations } = handler;
  if (typeof name !== "string" || name === "") throw new TypeError("a handler needs a name");
  if (typeof handler.execute !== "function") {
    throw new TypeError(`handler "${name}" has no execute function`);
  }
  if (!Array.isArray(operations) || operations.length === 0) {
    throw new TypeError(`handler "${name}" names no operation`);
  }
  for (const [index, operation] of operations.entries()) {
    if (!isOperation(operation)) {
      throw new TypeError(
        `handler "${name}": "${String(operation)}" is neither an operation like "disk.inspect" nor a pattern like "disk.*"`,
      );
    }
    if (operations.indexOf(operation) !== index) {
      throw new TypeError(`handler "${name}" names "${operation}" twice`);
    }
  }
  for (const schema of [handler.payload, handler.result]) {
    if (schema !== undefined && typeof schema["~standard"]?.validate !== "function") {
      throw new TypeError(`handler "${name}": its schemas must be Standard Schemas`);
    }
  }
}

function isOperation(value: unknown): boolean {
  return (
    typeof value === "string" && value.length <= maxOperationLength && operationPattern.test(value)
  );
}
