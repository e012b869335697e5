/** The shortest beginning of an id that no other id has. */
export function uniquePrefix(id: string, all: readonly string[]): string {
  const others = all.filter((other) => other !== id);
  for (let length = 1; length < id.length; length += 1) {
    const prefix = id.slice(0, length);
    if (!others.some((other) => other.startsWith(prefix))) return prefix;
  }
  return id;
}

/** A beginning that two of the ids have, if any do. */
export function sharedPrefix(ids: readonly string[]): string | undefined {
  const first = ids.map((id) => id.slice(0, 1));
  return first.find((letter, index) => first.indexOf(letter) !== index);
}
