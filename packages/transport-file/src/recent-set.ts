/** A set that forgets its oldest entries when it grows beyond its capacity. */
export class RecentSet<T> {
  readonly #entries = new Set<T>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(entry: T): boolean {
    return this.#entries.has(entry);
  }

  add(entry: T): void {
    this.#entries.add(entry);
    if (this.#entries.size <= this.#capacity) return;
    for (const oldest of this.#entries) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
