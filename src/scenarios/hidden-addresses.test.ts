/** What the other side of a pair gets to see of a visitor whose address is hidden, whatever that visitor's page sends. */
import { describe, expect, test } from "vitest";
import type { ServerMessage } from "../protocol/messages.ts";
import { places } from "./place.ts";

const open = places();

const SECRET = ["192.168.1.7", "198.51.100.7", "fd00::7", "7a1c.local"];
const RELAY = "203.0.113.9";
const candidates = [
  `candidate:1 1 udp 2122260223 192.168.1.7 50001 typ host generation 0`,
  `candidate:2 1 udp 2122194687 7a1c.local 50002 typ host`,
  `candidate:3 1 tcp 1518280447 fd00::7 9 typ host tcptype active`,
  `candidate:4 1 udp 1686052607 198.51.100.7 50003 typ srflx raddr 192.168.1.7 rport 50001`,
  `candidate:5 1 udp 1685921535 198.51.100.7 50004 typ prflx raddr 192.168.1.7 rport 50001`,
  `candidate:6 1 udp 41885439 ${RELAY} 50005 typ relay raddr 198.51.100.7 rport 50003`,
];
const sdp = [
  "v=0",
  "o=- 46117 2 IN IP4 192.168.1.7",
  "m=application 50001 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 198.51.100.7",
  ...candidates.map((line) => `a=${line}`),
  "",
].join("\r\n");

const expectHidden = (heard: readonly ServerMessage[]): void => {
  const text = JSON.stringify(heard);
  for (const address of SECRET) expect(text).not.toContain(address);
  expect(text).not.toMatch(/typ (host|srflx|prflx)/);
  expect(text).toContain(`${RELAY} 50005 typ relay`);
};

describe.each([1, 3])("on %i nodes", (nodes) => {
  test.each([
    ["who hides it", "all", { relay: true }],
    ["where the operator hides all", "relay", {}],
  ] as const)("S6: of a visitor %s nobody hears an address but the relay's", async (_who, policy, hides) => {
    const place = await open({ nodes, policy });
    const answerer = await place.visitor();
    expect(answerer.welcome.iceTransportPolicy).toBe(policy);
    answerer.find();
    await answerer.next("waiting");
    const offerer = await place.visitor();
    offerer.find({ offer: sdp, ...hides });
    const { pair } = await offerer.next("matched");
    const matched = await answerer.next("matched");
    expectHidden([matched]);

    const heard: ServerMessage[] = [];
    const say = (data: Record<string, unknown>) => offerer.send({ type: "signal", pair, data, ...hides });
    say({ description: { type: "offer", sdp } });
    say({ candidates: candidates.map((candidate) => ({ candidate, sdpMid: "0" })) });
    for (const candidate of candidates) say({ candidate: { candidate, sdpMid: "0" } });
    say({ last: true });
    do heard.push(await answerer.next("signal"));
    while (!JSON.stringify(heard.at(-1)).includes('"last":true'));
    // The description, the candidates that came together, the one that came alone, and the last.
    expect(heard).toHaveLength(4);
    for (const message of heard.slice(0, 3)) expectHidden([message]);
  });

  test("S6: what a visitor says who hides nothing comes as it was said", async () => {
    const place = await open({ nodes });
    const [offerer, answerer, pair] = await place.pair();
    const data = { candidates: candidates.map((candidate) => ({ candidate })) };
    offerer.send({ type: "signal", pair, data });
    expect(await answerer.next("signal")).toEqual({ type: "signal", pair, data });
  });
});
