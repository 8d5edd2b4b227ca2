/** Where `transmit` puts the datagrams of one peer. Each has room for `payloadMax` bytes and one message more. */
export interface Outbound {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Datagrams that can still be opened. */
  readonly room: number;
  /** Longest payload: the link's MTU less the headers. */
  readonly payloadMax: number;
  /** Where the next datagram begins. */
  open(): number;
  /** The datagram opened last is complete. */
  close(lengthBytes: number): void;
}
