/**
 * Reads recorded sync traffic: classic pcap files (little-endian, microseconds) of Ethernet frames with IPv4 or IPv6, UDP
 * or TCP. No more than the recordings need: IPv6 fragments are put together, but there are no VLANs, no IPv4 fragments, and
 * no TCP segment is repeated or out of order.
 */
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPV6_FRAGMENT_HEADER = 44;
const TCP_SYN = 0x02;

/** One UDP datagram, or the bytes of one TCP segment. */
export interface Payload {
  /** Number of the frame in the file, counted from 1; of the last fragment, when there are several. */
  readonly frame: number;
  readonly timeSeconds: number;
  /** "address port". */
  readonly source: string;
  readonly destination: string;
  readonly bytes: Uint8Array;
  /** A TCP connection begins: what is left of an earlier one with the same ends is void. */
  readonly opens: boolean;
}

interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly bytes: Uint8Array;
}

export function readPcap(file: Uint8Array): Payload[] {
  const view = viewOf(file);
  if (view.getUint32(0, true) !== MAGIC_MICROSECONDS) throw new Error("not a little-endian pcap file");
  const payloads: Payload[] = [];
  const fragments = new Map<string, { bytes: Uint8Array; at: number }[]>();
  const nextSequence = new Map<string, number>();
  let frame = 1;
  for (let at = FILE_HEADER_BYTES; at < file.length; frame++) {
    const timeSeconds = view.getUint32(at, true) + view.getUint32(at + 4, true) / 1e6;
    const capturedBytes = view.getUint32(at + 8, true);
    if (capturedBytes !== view.getUint32(at + 12, true)) throw new Error(`frame ${frame} was cut`);
    at += RECORD_HEADER_BYTES;
    const packet = readPacket(file.subarray(at, at + capturedBytes), fragments);
    at += capturedBytes;
    const payload = packet && readTransport(packet, nextSequence);
    if (payload) payloads.push({ frame, timeSeconds, ...payload });
  }
  return payloads;
}

function readPacket(
  ethernet: Uint8Array,
  fragments: Map<string, { bytes: Uint8Array; at: number }[]>,
): Packet | undefined {
  const ethertype = viewOf(ethernet).getUint16(12);
  const bytes = ethernet.subarray(ETHERNET_BYTES);
  if (ethertype === ETHERTYPE_IPV6) return readIpv6(bytes, fragments);
  return ethertype === ETHERTYPE_IPV4 ? readIpv4(bytes) : undefined;
}

function readIpv4(bytes: Uint8Array): Packet {
  const view = viewOf(bytes);
  if ((view.getUint16(6) & 0x3fff) !== 0) throw new Error("an IPv4 fragment");
  return {
    source: bytes.subarray(12, 16).join("."),
    destination: bytes.subarray(16, 20).join("."),
    protocol: bytes[9],
    bytes: bytes.subarray((bytes[0] & 0x0f) * 4, view.getUint16(2)),
  };
}

function readIpv6(bytes: Uint8Array, fragments: Map<string, { bytes: Uint8Array; at: number }[]>): Packet | undefined {
  const view = viewOf(bytes);
  const source = ipv6Groups(bytes.subarray(8, 24));
  const destination = ipv6Groups(bytes.subarray(24, 40));
  const payload = bytes.subarray(40, 40 + view.getUint16(4));
  if (bytes[6] !== IPV6_FRAGMENT_HEADER) return { source, destination, protocol: bytes[6], bytes: payload };
  // Fragment header: next header, reserved, offset in units of 8 bytes with the more-follow bit at the end, identification.
  const fragment = viewOf(payload);
  const key = `${source} ${destination} ${fragment.getUint32(4)}`;
  const parts = fragments.get(key) ?? [];
  parts.push({ bytes: payload.subarray(8), at: fragment.getUint16(2) & 0xfff8 });
  fragments.set(key, parts);
  if ((fragment.getUint16(2) & 1) !== 0) return undefined;
  fragments.delete(key);
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.bytes.length, 0));
  for (const part of parts) whole.set(part.bytes, part.at);
  return { source, destination, protocol: payload[0], bytes: whole };
}

/** Groups as they are, none left out: recordings' own addresses are only compared with each other. */
function ipv6Groups(bytes: Uint8Array): string {
  const view = viewOf(bytes);
  return Array.from({ length: 8 }, (_, i) => view.getUint16(i * 2).toString(16)).join(":");
}

function readTransport(
  packet: Packet,
  nextSequence: Map<string, number>,
): Omit<Payload, "frame" | "timeSeconds"> | undefined {
  const view = viewOf(packet.bytes);
  const ends = {
    source: `${packet.source} ${view.getUint16(0)}`,
    destination: `${packet.destination} ${view.getUint16(2)}`,
  };
  if (packet.protocol === IPPROTO_UDP) {
    return { ...ends, bytes: packet.bytes.subarray(8, view.getUint16(4)), opens: false };
  }
  if (packet.protocol !== IPPROTO_TCP) return undefined;
  const sequence = view.getUint32(4);
  const data = packet.bytes.subarray((packet.bytes[12] >>> 4) * 4);
  const key = `${ends.source} ${ends.destination}`;
  if ((packet.bytes[13] & TCP_SYN) !== 0) {
    nextSequence.set(key, (sequence + 1) >>> 0);
    return { ...ends, bytes: new Uint8Array(0), opens: true };
  }
  if (data.length === 0) return undefined;
  if (sequence !== (nextSequence.get(key) ?? sequence))
    throw new Error(`TCP from ${ends.source} repeats or skips bytes`);
  nextSequence.set(key, (sequence + data.length) >>> 0);
  return { ...ends, bytes: data, opens: false };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
