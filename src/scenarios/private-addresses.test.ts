/** Who hears the private addresses that a visitor who is at one tells. */
import { describe, expect, test } from "vitest";
import type { Place } from "./place.ts";
import { places } from "./place.ts";
import type { Visitor } from "./visitor.ts";

const open = places();

const HOME = "192.168.1.5";
const ABROAD = "198.51.100.7";
const MINE = "candidate:1 1 udp 2122260223 192.168.1.7 50001 typ host generation 0";
const TOLD_AFAR = [
  "candidate:2 1 udp 2122194687 7a1c.local 50002 typ host",
  "candidate:3 1 udp 1686052607 203.0.113.5 50003 typ srflx raddr 0.0.0.0 rport 0",
];
const TOLD = [MINE, "candidate:4 1 udp 2122129151 fd00::7 50004 typ host", ...TOLD_AFAR];

const sdp = (address: string, candidates: string[]) =>
  [
    "v=0",
    `o=- 46117 2 IN IP4 ${address}`,
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ...candidates.map((candidate) => `a=${candidate}`),
    "",
  ].join("\r\n");
const OFFER = sdp("192.168.1.7", TOLD);
const OFFER_AFAR = sdp("0.0.0.0", TOLD_AFAR);

const together = (candidates: string[]) => ({ candidates: candidates.map((candidate) => ({ candidate })) });
const LAST = { last: true };
const SAID = [{ description: { sdp: OFFER } }, together(TOLD), together([MINE]), LAST];
const SAID_AFAR = [{ description: { sdp: OFFER_AFAR } }, together(TOLD_AFAR), LAST];

function say(visitor: Visitor, pair: string): void {
  for (const data of SAID) visitor.send({ type: "signal", pair, data });
}

async function hears(visitor: Visitor): Promise<unknown[]> {
  const heard: Record<string, unknown>[] = [];
  do heard.push((await visitor.next("signal")).data);
  while (heard.at(-1)?.last !== true);
  return heard;
}

describe.each([1, 3])("on %i nodes", (nodes) => {
  const openPlace = () => open({ nodes, trustedProxies: ["loopback"] });

  async function visitor(place: Place, address: string, resume?: string): Promise<Visitor> {
    const visitor = await place.connect({ headers: { "X-Forwarded-For": address } });
    await visitor.hello(resume === undefined ? {} : { resume });
    return visitor;
  }

  /** The connection breaks, and the visitor comes back, to the next node if there is one. */
  async function moves(place: Place, visitor_: Visitor, to: string): Promise<Visitor> {
    await place.drop(visitor_);
    return visitor(place, to, visitor_.welcome.resume);
  }

  async function pair(place: Place, from: string, to: string) {
    const answerer = await visitor(place, to);
    answerer.find();
    await answerer.next("waiting");
    const offerer = await visitor(place, from);
    offerer.find({ offer: OFFER });
    const { pair } = await offerer.next("matched");
    const { offer } = await answerer.next("matched");
    await place.settle();
    return { offerer, answerer, pair, offer };
  }

  test.each([
    ["from home abroad: none", HOME, ABROAD, OFFER_AFAR, SAID_AFAR],
    ["from home to another home: all", HOME, "10.0.0.9", OFFER, SAID],
    ["from abroad to a home: all, they are its own to tell", ABROAD, HOME, OFFER, SAID],
  ])("S7: %s", async (_what, from, to, offered, said) => {
    const { offerer, answerer, pair: id, offer } = await pair(await openPlace(), from, to);
    expect(offer).toBe(offered);
    say(offerer, id);
    expect(await hears(answerer)).toEqual(said);
  });

  test.each([
    ["abroad", HOME, ABROAD, SAID_AFAR],
    ["home", ABROAD, HOME, SAID],
  ])("S7: what waits for who moves %s is for where they are then", async (_where, from, to, said) => {
    const place = await openPlace();
    const { offerer, answerer, pair: id } = await pair(place, HOME, from);
    await place.drop(answerer);
    say(offerer, id);
    await offerer.nothing();
    const back = await visitor(place, to, answerer.welcome.resume);
    expect(await hears(back)).toEqual(said);
  });

  test.each([
    ["abroad says what their page there tells", HOME, ABROAD, SAID],
    ["home is not heard abroad", ABROAD, HOME, SAID_AFAR],
  ])("S7: who moves %s", async (_what, from, to, said) => {
    const place = await openPlace();
    const { offerer, answerer, pair: id } = await pair(place, from, ABROAD);
    const back = await moves(place, offerer, to);
    await place.settle();
    say(back, id);
    expect(await hears(answerer)).toEqual(said);
  });
});
