/**
 * Which slot holds the flow with a hash: open addressing in one array, two words a place.
 *
 *   place  hash of the flow, its slot + 1 (0: nobody)
 *
 * A flow stands at its home place, hash mod size, or in the first free one after it; half of the places stay free, so a
 * walk is short and stays within a cache line or two. The whole hash is kept, so a walk looks into a slot only when that is
 * nearly sure to be the one, and those behind a gap can be moved up without a look at their keys (D-006).
 */
const PLACE_WORDS = 2;

export class SlotIndex {
  readonly #places: Uint32Array;
  readonly #mask: number;

  /** For `slotsMax` flows. */
  constructor(slotsMax: number) {
    const places = 2 ** Math.ceil(Math.log2(Math.max(slotsMax * 2, 2)));
    this.#places = new Uint32Array(places * PLACE_WORDS);
    this.#mask = places - 1;
  }

  /** The place where the walk for this hash begins. */
  home(hash: number): number {
    return hash & this.#mask;
  }

  after(place: number): number {
    return (place + 1) & this.#mask;
  }

  /** The slot at `place`, or -1 where nobody stands: the walk ends there. */
  slotAt(place: number): number {
    return this.#places[place * PLACE_WORDS + 1] - 1;
  }

  hashAt(place: number): number {
    return this.#places[place * PLACE_WORDS];
  }

  /** `place` is where a walk for `hash` ended. */
  set(place: number, hash: number, slot: number): void {
    this.#places[place * PLACE_WORDS] = hash;
    this.#places[place * PLACE_WORDS + 1] = slot + 1;
  }

  clear(): void {
    this.#places.fill(0);
  }

  /** Takes the slot out that the hash belongs to; those behind it move up, so that no walk ends before them. */
  remove(hash: number, slot: number): void {
    const places = this.#places;
    let gap = this.home(hash);
    while (places[gap * PLACE_WORDS + 1] !== slot + 1) gap = this.after(gap);
    for (let place = this.after(gap); places[place * PLACE_WORDS + 1] !== 0; place = this.after(place)) {
      const home = this.home(places[place * PLACE_WORDS]);
      // It may not stand before its home: does that lie between the gap and here?
      if (((place - home) & this.#mask) < ((place - gap) & this.#mask)) continue;
      places[gap * PLACE_WORDS] = places[place * PLACE_WORDS];
      places[gap * PLACE_WORDS + 1] = places[place * PLACE_WORDS + 1];
      gap = place;
    }
    places[gap * PLACE_WORDS] = 0;
    places[gap * PLACE_WORDS + 1] = 0;
  }
}
