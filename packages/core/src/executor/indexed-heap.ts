/** A place in an {@link IndexedHeap}; keep it to take the value out again. */
export interface HeapNode<T> {
  readonly value: T;
  /** Position in the heap; -1 once the value is out */
  index: number;
}

/** A binary min-heap from which any value can be taken, each in O(log n). */
export class IndexedHeap<T> {
  readonly #nodes: HeapNode<T>[] = [];
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#nodes.length;
  }

  peek(): T | undefined {
    return this.#nodes[0]?.value;
  }

  push(value: T): HeapNode<T> {
    const node: HeapNode<T> = { value, index: this.#nodes.length };
    this.#nodes.push(node);
    this.#moveUp(node);
    return node;
  }

  pop(): T | undefined {
    const first = this.#nodes[0];
    if (first === undefined) return undefined;
    this.remove(first);
    return first.value;
  }

  /** Takes the node out; false when it is out already. */
  remove(node: HeapNode<T>): boolean {
    const { index } = node;
    if (index === -1) return false;
    node.index = -1;
    const last = this.#nodes.pop();
    if (last === undefined || last === node) return true;
    this.#nodes[index] = last;
    last.index = index;
    this.#moveUp(last);
    this.#moveDown(last);
    return true;
  }

  #moveUp(node: HeapNode<T>): void {
    while (node.index > 0) {
      const parent = this.#nodes[(node.index - 1) >> 1];
      if (parent === undefined || !this.#isBefore(node.value, parent.value)) return;
      this.#swap(node, parent);
    }
  }

  #moveDown(node: HeapNode<T>): void {
    for (;;) {
      const left = this.#nodes[node.index * 2 + 1];
      const right = this.#nodes[node.index * 2 + 2];
      if (left === undefined) return;
      const child = right !== undefined && this.#isBefore(right.value, left.value) ? right : left;
      if (!this.#isBefore(child.value, node.value)) return;
      this.#swap(child, node);
    }
  }

  #swap(a: HeapNode<T>, b: HeapNode<T>): void {
    const { index } = a;
    a.index = b.index;
    b.index = index;
    this.#nodes[a.index] = a;
    this.#nodes[b.index] = b;
  }
}
