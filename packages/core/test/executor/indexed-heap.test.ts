import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IndexedHeap } from "../../src/executor/indexed-heap.ts";

describe("IndexedHeap", () => {
  it("gives values in order, without those that were removed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer(), fc.boolean())), (items) => {
        const heap = new IndexedHeap<number>((a, b) => a < b);
        const nodes = items.map(([value]) => heap.push(value));
        items.forEach(([, isRemoved], index) => {
          const node = nodes[index];
          if (isRemoved && node !== undefined) expect(heap.remove(node)).toBe(true);
        });
        const popped: number[] = [];
        for (let value = heap.pop(); value !== undefined; value = heap.pop()) popped.push(value);
        const kept = items.filter(([, isRemoved]) => !isRemoved).map(([value]) => value);
        expect(popped).toEqual(kept.toSorted((a, b) => a - b));
      }),
    );
  });

  it("removes a node once", () => {
    const heap = new IndexedHeap<string>((a, b) => a < b);
    const node = heap.push("a");
    expect(heap.pop()).toBe("a");
    expect(heap.remove(node)).toBe(false);
  });
});
