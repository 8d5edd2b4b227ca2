/**
 * Packets of a capture file as tcpdump writes it with nanosecond timestamps on this machine.
 *
 *   file    byte  0      4        16       20        24
 *                 magic  version  snaplen  linktype  packets
 *   packet  byte  0        4            8         12      16
 *                 seconds  nanoseconds  captured  length  `captured` bytes of the frame
 *
 * All in the machine's byte order (little-endian on every target). Only Ethernet with IPv4 and UDP is read: that is what a
 * sync link carries here.
 * Source: draft-ietf-opsawg-pcap; RFC 791, RFC 768.
 */
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_AT = 20;
const FILE_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const IP_PROTOCOL_AT = 9;
const IPPROTO_UDP = 17;
const UDP_BYTES = 8;
const NS_PER_SECOND = 1_000_000_000n;

/** Payload of one UDP datagram: bytes [at, end) of `view`, less than was sent where the capture cut it off. */
export interface Datagram {
  /** Wall clock, since 1970. */
  readonly atNs: bigint;
  readonly view: DataView;
  readonly at: number;
  readonly end: number;
}

/** UDP datagrams in the order of their capture. */
export function* datagrams(file: Uint8Array): Generator<Datagram> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (const at of packets(view)) {
    const frame = at + PACKET_HEADER_BYTES;
    const end = frame + view.getUint32(at + 8, true);
    const payload = udpPayload(view, frame, end);
    const atNs = BigInt(view.getUint32(at, true)) * NS_PER_SECOND + BigInt(view.getUint32(at + 4, true));
    if (payload !== undefined) yield { atNs, view, at: payload, end };
  }
}

/** When the last packet of the file was captured, in milliseconds since 1970; 0 when it has none yet. */
export function lastPacketMs(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let last = -1;
  for (const at of packets(view)) last = at;
  return last < 0 ? 0 : view.getUint32(last, true) * 1000 + view.getUint32(last + 4, true) / 1e6;
}

/** Where each packet's header starts; a packet that is not wholly written yet is left out. */
function* packets(view: DataView): Generator<number> {
  if (view.byteLength < FILE_HEADER_BYTES) return;
  if (view.getUint32(0, true) !== MAGIC_NANOSECONDS) throw new Error("no capture file with nanoseconds");
  if (view.getUint32(LINKTYPE_AT, true) !== LINKTYPE_ETHERNET) throw new Error("captured on something not Ethernet");
  let at = FILE_HEADER_BYTES;
  while (at + PACKET_HEADER_BYTES <= view.byteLength) {
    const next = at + PACKET_HEADER_BYTES + view.getUint32(at + 8, true);
    if (next > view.byteLength) return;
    yield at;
    at = next;
  }
}

/** Where the datagram's payload starts; undefined for any other frame. */
function udpPayload(view: DataView, frame: number, end: number): number | undefined {
  const ip = frame + ETHERNET_BYTES;
  if (ip + 20 > end || view.getUint16(frame + ETHERTYPE_AT) !== ETHERTYPE_IPV4) return undefined;
  if (view.getUint8(ip + IP_PROTOCOL_AT) !== IPPROTO_UDP) return undefined;
  const payload = ip + (view.getUint8(ip) & 0x0f) * 4 + UDP_BYTES;
  return payload <= end ? payload : undefined;
}
