/** Memory in which bytes lie amid others that must not matter: a reader that looks past them answers differently, or throws. */
const BEFORE = 13;
const BEHIND = 64;

export class Poisoned {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;

  constructor(lengthMax: number) {
    this.bytes = new Uint8Array(BEFORE + lengthMax + BEHIND);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Puts the bytes amid `poison`; where they begin. */
  fill(bytes: Uint8Array, poison = 0xff): number {
    this.bytes.fill(poison, 0, BEFORE);
    this.bytes.set(bytes, BEFORE);
    this.bytes.fill(poison, BEFORE + bytes.length, BEFORE + bytes.length + BEHIND);
    return BEFORE;
  }
}
