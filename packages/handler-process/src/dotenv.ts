/** One `KEY='value'` per line, sorted; nested names are joined by dots. Quotes and newlines survive a shell. */
export function formatDotenv(data: unknown): string {
  return [...flatten(data)]
    .toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)))
    .map(([key, value]) => `${key}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join("");
}

/** Every value in the data by its dotted name. */
export function* flatten(data: unknown, path = ""): Generator<readonly [string, string]> {
  if (typeof data === "object" && data !== null) {
    for (const [key, value] of Object.entries(data)) {
      yield* flatten(value, path === "" ? key : `${path}.${key}`);
    }
    return;
  }
  if (path === "") return;
  yield [path, typeof data === "string" ? data : data === null ? "" : JSON.stringify(data)];
}
