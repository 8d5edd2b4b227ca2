/** Message by message against conntrackd's synchronisation protocol, version 1, section 13. */
import { describe, expect, test } from "bun:test";
import { connected, Side } from "../../test/ftfw-script.ts";
import {
  CT_DESTROY,
  CT_NEW,
  CTL,
  EXP_DESTROY,
  FLAG_ACK,
  FLAG_ALIVE,
  FLAG_HELLO,
  FLAG_HELLO_BACK,
  FLAG_NACK,
  FLAG_RESYNC,
} from "../wire/header.ts";
import type { Ftfw } from "./ftfw.ts";

describe("the handshake", () => {
  test("typical start: ALIVE+HELLO, then HELLO+HELLO_BACK, then HELLO_BACK, then neither", () => {
    const fw2 = new Side(200);
    const fw1 = new Side(100);
    expect(fw2.says(1_000)).toEqual(["200 ALIVE HELLO"]);
    fw1.hears("200 ALIVE HELLO");
    expect(fw1.says()).toEqual(["100 ALIVE HELLO HELLO_BACK"]);
    fw2.hears("100 ALIVE HELLO HELLO_BACK");
    expect(fw2.says()).toEqual(["201 ALIVE HELLO_BACK"]);
    fw1.hears("201 ALIVE HELLO_BACK");
    expect([fw1.says(), fw2.says()]).toEqual([[], []]);
    expect([fw1.session.peerState(1_000), fw2.session.peerState(1_000)]).toEqual(["connected", "connected"]);
    expect([fw1.session.counters.peerRestarts, fw2.session.counters.peerRestarts]).toEqual([0, 0]);
  });

  test("greets in everything until one HELLO_BACK comes", () => {
    const side = new Side(100);
    expect([side.says(1_000), side.says(1_000)]).toEqual([["100 ALIVE HELLO"], ["101 ALIVE HELLO"]]);
    expect(side.session.peerState(side.nowMs)).toBe("silent");
    side.hears("7 ALIVE");
    expect(side.session.peerState(side.nowMs)).toBe("handshake");
    expect(side.says(1_000)).toEqual(["102 ACK 7-7 HELLO"]);
    side.hears("8 ALIVE HELLO_BACK");
    expect(side.says(1_000)).toEqual(["103 ACK 8-8"]);
  });

  test("answers several greetings that came before it spoke with one HELLO_BACK, and each later one with another", () => {
    const side = connected();
    side.says(1_000);
    side.hears("900 ALIVE HELLO", "901 ALIVE HELLO", "902 ALIVE HELLO");
    const answers = side.says().filter((message) => message.includes("HELLO_BACK"));
    expect(answers.length).toBe(1);
    expect(side.says()).toEqual([]);
    side.hears("903 ALIVE HELLO");
    expect(side.says().filter((message) => message.includes("HELLO_BACK")).length).toBe(1);
  });

  test("a HELLO_BACK counts even in a message that is dropped as late, but not before we ever greeted", () => {
    const side = new Side(100);
    side.hears("50 ALIVE HELLO_BACK");
    expect(side.says(1_000)[0]).toContain(" HELLO");
    expect(side.hears("50 ALIVE HELLO_BACK")).toBe("late");
    expect(side.says(1_000)[0]).not.toContain(" HELLO");
  });

  test("beyond conntrackd: flows and questions wait for it, as nobody would notice their loss before", () => {
    const side = new Side(100);
    side.session.changed(3);
    side.session.request();
    expect(side.says(1_000)).toEqual(["100 ALIVE HELLO"]);
    side.hears("50 ALIVE HELLO HELLO_BACK");
    expect(side.says()).toEqual(["101 RESYNC HELLO_BACK", "102 flow 3"]);
  });

  test("beyond conntrackd: a peer that greets anew has a new life: it is sent all and asked for all, once", () => {
    const side = connected();
    side.live = [1, 2];
    side.session.changed(1);
    side.says();
    side.hears("501 ACK 1000-1000");
    side.hears("9000 ALIVE HELLO");
    expect(side.session.counters.peerRestarts).toBe(1);
    expect(side.says()).toEqual(["1001 RESYNC HELLO_BACK", "1002 flow 1", "1003 flow 2"]);
    side.hears("9001 ALIVE HELLO");
    expect(side.session.counters.peerRestarts).toBe(1);
    expect(side.says()).toEqual(["1004 RESYNC HELLO_BACK", "1005 flow 1", "1006 flow 2"]); // It had forgotten those, too.
    side.hears("9002 ACK 1004-1006");
    expect([side.session.bulkDone, side.session.requestDone]).toEqual([true, true]);
  });

  test("beyond conntrackd: also one that begins its new life before it has ever answered our greeting", () => {
    const side = new Side(100);
    side.says(1_000);
    side.hears("500 ALIVE", "501 flow 7"); // It has known our last life, and not heard of this one.
    side.hears("9000 ALIVE HELLO");
    expect([side.session.counters.peerRestarts, side.session.requests]).toEqual([1, 1]);
    side.hears("9001 ALIVE HELLO HELLO_BACK");
    expect(side.says().filter((message) => message.includes("RESYNC"))).toHaveLength(1);
  });

  test("every HELLO empties the resend queue; beyond conntrackd, what was in it goes out again", () => {
    const side = connected();
    side.session.changed(1);
    expect(side.says()).toEqual(["1000 flow 1"]);
    side.hears("9000 NACK 1000-1000 HELLO");
    const said = side.says();
    expect(said.filter((message) => message.includes("flow 1")).length).toBe(1);
    expect(said.filter((message) => message.includes("HELLO_BACK")).length).toBe(1);
  });
});

describe("acknowledgements", () => {
  test("every full window, with first and last number", () => {
    const side = connected({ ackWindow: 3 });
    side.hears("501 flow 1");
    expect(side.says()).toEqual([]);
    side.hears("502 flow 2");
    expect(side.says()).toEqual(["1000 ACK 500-502"]);
    side.hears("503 flow 3", "504 flow 4", "505 ALIVE", "506 flow 6");
    expect(side.says()).toEqual(["1001 ACK 503-505"]);
  });

  test("by the clock leave the window as it is: the next one is shorter", () => {
    const side = connected({ ackWindow: 3 });
    expect(side.says(1_000)).toEqual(["1000 ACK 500-500"]);
    side.hears("501 flow 1", "502 flow 2");
    expect(side.says()).toEqual(["1001 ACK 501-502"]);
  });

  test("one second after the last thing said, of all that arrived meanwhile; the kinds of message do not matter", () => {
    const side = connected();
    expect(side.says(1_000)).toEqual(["1000 ACK 500-500"]);
    side.hears("501 flow 1", "502 ALIVE", "503 ACK 1000-1000");
    expect(side.says(999)).toEqual([]);
    expect(side.says(1)).toEqual(["1001 ACK 501-503"]);
  });

  test("come within a second also while there is much else to say", () => {
    const side = connected();
    side.says(1_000);
    side.hears("501 flow 1");
    const said: string[] = [];
    for (let i = 0; i < 10; i++) {
      side.session.changed(7);
      said.push(...side.says(100));
    }
    expect(said.filter((message) => message.includes("ACK")).map((message) => message.slice(5))).toEqual([
      "ACK 501-501",
    ]);
  });

  test("that cross for ever leave one unacknowledged and no flow on its way", () => {
    const side = connected();
    side.session.changed(1);
    side.says();
    expect(side.session).toMatchObject({ unacknowledged: 1, inFlight: 1 });
    side.hears("501 ACK 1000-1000");
    expect(side.session.inFlight).toBe(0);
    for (let seq = 1_001, theirs = 502; seq < 1_011; seq++, theirs++) {
      expect(side.says(1_000)).toHaveLength(1);
      expect(side.session).toMatchObject({ queued: 0, inFlight: 0 });
      expect(side.session.unacknowledged).toBeGreaterThan(0);
      side.hears(`${theirs} ACK ${seq - 1}-${seq - 1}`);
      expect(side.session.unacknowledged).toBe(1);
    }
  });

  test("release the flows in their range and no others", () => {
    const side = connected();
    for (const slot of [1, 2, 3, 4]) side.session.changed(slot);
    side.says();
    side.hears("501 ACK 1001-1002");
    expect(side.released).toEqual([2, 3]);
    expect(side.session.unacknowledged).toBe(2);
    side.hears("502 ACK 900-1000");
    expect(side.released).toEqual([1]);
    side.hears("503 ACK 1003-5000");
    expect(side.released).toEqual([4]);
  });

  test("an idle pair says one ACK a second in each direction, and ALIVE only when there is nothing to acknowledge", () => {
    const side = connected();
    expect(side.says(1_000)).toEqual(["1000 ACK 500-500"]);
    for (let i = 1; i < 5; i++) {
      side.hears(`${500 + i} ACK ${999 + i}-${999 + i}`);
      expect(side.says(1_000)).toEqual([`${1_000 + i} ACK ${500 + i}-${500 + i}`]);
    }
    expect(side.says(1_000)).toEqual(["1005 ALIVE"]);
    expect(side.says(1_000)).toEqual(["1006 ALIVE"]);
  });
});

describe("losses", () => {
  test("a gap is named at once, behind an acknowledgement of what came before", () => {
    const side = connected();
    side.says(1_000);
    side.hears("501 flow 1", "505 flow 5");
    expect(side.says()).toEqual(["1001 ACK 501-501", "1002 NACK 502-504"]);
    expect(side.hears("503 flow 3")).toBe("late");
    expect(side.hears("506 flow 3")).toBe("deliver");
    expect(side.says(1_000)).toEqual(["1003 ACK 505-506"]);
  });

  test("what a NACK names goes out again in order with its newest state, under new numbers; the rest is ignored", () => {
    const side = connected();
    side.says(1_000);
    for (const slot of [1, 2, 3]) side.session.changed(slot);
    expect(side.says()).toEqual(["1001 flow 1", "1002 flow 2", "1003 flow 3"]);
    side.session.changed(2); // Leaves 1002.
    side.hears("501 NACK 1001-1010");
    expect(side.says()).toEqual(["1004 flow 2", "1005 flow 1", "1006 flow 3", "1007 ACK 501-501"]);
    side.hears("502 ACK 1004-1006");
    expect(side.released.toSorted()).toEqual([1, 2, 3]);
  });

  test("lost ACKs and NACKs go out again with their old ranges, ALIVE does not", () => {
    const side = connected();
    side.says(1_000); // 1000 ACK
    side.says(1_000); // 1001 ALIVE
    side.hears("503 flow 1"); // 1002 NACK
    side.says();
    side.hears("504 NACK 1000-1002");
    const again = side.says().map((message) => message.slice(5));
    expect(again).toEqual(["ACK 500-500", "NACK 501-502"]);
  });

  test("numbers wrap at 2^32 on both sides without a gap or a loss", () => {
    const side = new Side(0xfffffffd);
    side.says(1_000);
    side.hears("4294967294 ALIVE HELLO_BACK", "4294967295 flow 1", "0 flow 2", "1 flow 3");
    for (const slot of [1, 2, 3, 4]) side.session.changed(slot);
    expect(side.says()).toEqual(["4294967294 flow 1", "4294967295 flow 2", "0 flow 3", "1 flow 4"]);
    side.hears("2 ACK 4294967295-0");
    expect(side.released).toEqual([2, 3]);
    side.hears("3 NACK 4294967294-1", "5 flow 1");
    expect(side.says()).toEqual([
      "2 ACK 4294967294-2",
      "3 NACK 4-4",
      "4 flow 1",
      "5 flow 4",
      "6 ACK 3-3", // Of the NACK: it was answered only now.
    ]);
  });

  test("beyond conntrackd: a full window that nothing is heard of for two seconds goes out again", () => {
    const side = connected({ inFlightMax: 2 });
    for (const slot of [1, 2, 3]) side.session.changed(slot);
    expect(side.says()).toEqual(["1000 flow 1", "1001 flow 2"]);
    let seq = 501;
    const said: string[] = [];
    for (let i = 0; i < 5; i++) {
      side.hears(`${seq++} ALIVE`);
      said.push(...side.says(500));
    }
    expect(said.filter((message) => message.includes("flow")).map((message) => message.slice(5))).toEqual([
      "flow 3",
      "flow 1",
    ]);
    expect(side.session.counters.stalls).toBe(1);
  });
});

describe("RESYNC", () => {
  test("is answered with every live flow; beyond conntrackd, it is acknowledged when the answer has been sent", () => {
    const side = connected({ inFlightMax: 2 });
    side.live = [1, 2, 3];
    side.says(1_000);
    side.hears("501 RESYNC");
    expect(side.says()).toEqual(["1001 flow 1", "1002 flow 2"]);
    side.hears("502 ACK 1001-1002");
    expect(side.says()).toEqual(["1003 flow 3", "1004 ACK 501-501"]);
  });

  test("of an empty node is acknowledged like any message", () => {
    const side = connected();
    side.hears("501 RESYNC");
    expect(side.says(1_000)).toEqual(["1000 ACK 500-501"]);
  });

  test("is done when it is acknowledged, and asked again when it was lost", () => {
    const side = connected();
    side.session.request();
    expect(side.session.requestDone).toBe(false);
    expect(side.says()).toEqual(["1000 RESYNC"]);
    side.hears("501 NACK 1000-1000");
    expect(side.says()).toEqual(["1001 RESYNC"]);
    expect(side.session.requestDone).toBe(false);
    side.hears("502 ACK 1001-1001");
    expect(side.session.requestDone).toBe(true);
  });

  test("that nobody answers is not forgotten on a link that is down for longer than the resend queue remembers", () => {
    const side = connected({ resendQueue: 16 });
    side.session.request();
    side.says();
    for (let second = 0; second < 100; second++) side.says(1_000);
    expect(side.session.requestDone).toBe(false);
    side.hears("20000 ALIVE HELLO"); // The peer had died.
    const asked = side.says().filter((message) => message.includes("RESYNC"));
    expect(asked.length).toBeGreaterThan(0);
    const seqs = asked.map((message) => Number(message.split(" ")[0]));
    side.hears(`20001 ACK ${Math.min(...seqs)}-${Math.max(...seqs)}`);
    expect(side.session.requestDone).toBe(true);
  });
});

describe("a bulk", () => {
  test("is done when all of it has arrived", () => {
    const side = connected();
    side.live = [1, 2];
    side.session.bulk();
    expect(side.session.bulkDone).toBe(false);
    expect(side.says()).toEqual(["1000 flow 1", "1001 flow 2"]);
    side.hears("501 ACK 1000-1000");
    expect(side.session.bulkDone).toBe(false);
    side.hears("502 ACK 1001-1001");
    expect(side.session.bulkDone).toBe(true);
  });

  test("waits for a peer that is away, and goes out when it greets", () => {
    const side = new Side(100);
    side.live = [4];
    side.session.bulk();
    expect(side.says(5_000)).toEqual(["100 ALIVE HELLO"]);
    side.hears("1 ALIVE HELLO HELLO_BACK");
    expect(side.says()).toContain("102 flow 4");
  });
});

describe("slots that are forgotten", () => {
  test("do not let an answer look complete while the rest of it still waits", () => {
    const side = connected({ inFlightMax: 2 });
    side.says(1_000);
    for (const slot of [1, 2]) side.session.changed(slot);
    side.says();
    side.session.changed(3);
    side.hears("501 NACK 1001-1002");
    side.session.retain((slot) => slot !== 1);
    side.session.changed(4);
    expect(side.says()).toEqual(["1003 flow 3", "1004 flow 2", "1005 ACK 501-501"]);
  });
});

describe("a peer's state", () => {
  test("is silent three seconds after the last message, and connected with the next", () => {
    const side = connected();
    expect([3_000, 4_000, 4_001].map((nowMs) => side.session.peerState(nowMs))).toEqual([
      "connected",
      "connected",
      "silent",
    ]);
    side.nowMs = 10_000;
    side.hears("501 ALIVE");
    expect([side.session.peerState(10_001), side.session.heardMs]).toEqual(["connected", 10_000]);
  });
});

describe("a header that the mode does not know", () => {
  const receive = (session: Ftfw, type: number, flags: number, from = 0, to = 0): string =>
    session.receive(type, flags, 501, from, to, 2_000);

  test.each([
    ["a type between data and control", 6, 0, 0, 0],
    ["a type beyond control", 11, FLAG_ALIVE, 0, 0],
    ["data with ACK", CT_NEW, FLAG_ACK, 0, 0],
    ["data with the unused bit 0x01", CT_DESTROY, 0x01, 0, 0],
    ["an expectation with the unused bit 0x80", EXP_DESTROY, 0x80, 0, 0],
    ["a control message that says nothing", CTL, 0, 0, 0],
    ["a control message that only greets", CTL, FLAG_HELLO, 0, 0],
    ["one that says two things", CTL, FLAG_ACK | FLAG_NACK, 1, 1],
    ["ALIVE and RESYNC at once", CTL, FLAG_ALIVE | FLAG_RESYNC, 0, 0],
    ["an ACK that ends before it begins", CTL, FLAG_ACK, 10, 9],
    ["a NACK that ends before it begins, over the wrap", CTL, FLAG_NACK, 3, 0xfffffff0],
  ])("%s changes nothing: not even its number counts", (_, type, flags, from, to) => {
    const side = connected();
    side.says(1_000);
    expect(receive(side.session, type, flags, from, to)).toBe("badHeader");
    expect(side.session.heardMs).toBe(1_000);
    expect(side.hears("501 flow 1")).toBe("deliver");
    expect(side.says(1_000)).toEqual(["1001 ACK 501-501"]);
  });

  test.each([
    ["data of every kind", EXP_DESTROY, FLAG_HELLO | FLAG_HELLO_BACK, 0, 0],
    ["an ACK of one number", CTL, FLAG_ACK | FLAG_HELLO_BACK, 7, 7],
    ["an ACK over the wrap", CTL, FLAG_ACK, 0xfffffff0, 3],
    ["a NACK with a greeting", CTL, FLAG_NACK | FLAG_HELLO, 1, 2],
    ["RESYNC, whatever its range says", CTL, FLAG_RESYNC, 9, 1],
  ])("but it knows %s", (_, type, flags, from, to) => {
    expect(receive(connected().session, type, flags, from, to)).toBe("deliver");
  });
});
