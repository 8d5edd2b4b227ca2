/** What is due later, the soonest first; what is due at the same time in the order it came. */
export interface Due {
  readonly dueMs: number;
  readonly order: number;
}

const isSooner = (a: Due, b: Due): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

export class Heap<T extends Due> {
  readonly #items: T[] = [];

  get length(): number {
    return this.#items.length;
  }

  /** When the soonest is due; never, when there is none. */
  get dueMs(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#items[0].dueMs;
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isSooner(item, items[parent])) break;
      items[at] = items[parent];
      at = parent;
    }
    items[at] = item;
  }

  /** Takes the soonest. The caller knows that there is one. */
  shift(): T {
    const items = this.#items;
    const first = items[0];
    const item = items.pop() as T;
    if (items.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isSooner(items[child + 1], items[child])) child++;
      if (!isSooner(items[child], item)) break;
      items[at] = items[child];
      at = child;
    }
    items[at] = item;
    return first;
  }
}
