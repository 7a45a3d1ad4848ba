import { expect, test } from "vitest";
import { receivedBytes, wayOf } from "./way.ts";

const report = (...stats: object[]) =>
  new Map(stats.map((each, index) => [String(index), each])) as unknown as RTCStatsReport;

const host = { id: "L1", type: "local-candidate", candidateType: "host", protocol: "udp" };
const relay = {
  id: "L2",
  type: "local-candidate",
  candidateType: "relay",
  protocol: "udp",
  relayProtocol: "tls",
};
const remote = { id: "R1", type: "remote-candidate", candidateType: "prflx", protocol: "udp" };
const pair = (id: string, local: string, more: object = {}) => ({
  id,
  type: "candidate-pair",
  localCandidateId: local,
  remoteCandidateId: "R1",
  ...more,
});

test("is that of the pair which the transport has chosen", () => {
  const transport = { id: "T", type: "transport", selectedCandidatePairId: "P2" };
  const old = pair("P1", "L1", { nominated: true, state: "succeeded", selected: true });
  expect(wayOf(report(old, pair("P2", "L2"), host, relay, remote, transport))).toEqual({
    local: "relay",
    remote: "prflx",
    transport: "tls",
  });
});

test.each([{ selected: true }, { nominated: true, state: "succeeded" }])(
  "is that of the pair which is marked, where the transport says nothing: %j",
  (mark) => {
    const other = pair("P1", "L2", { nominated: true, state: "in-progress" });
    expect(wayOf(report(other, pair("P2", "L1", mark), host, relay, remote))).toEqual({
      local: "host",
      remote: "prflx",
      transport: "udp",
    });
  },
);

test("is none where there is none, or none that is known", () => {
  expect(wayOf(report())).toBeNull();
  expect(wayOf(report(pair("P1", "L1"), host, remote))).toBeNull();
  expect(wayOf(report(pair("P1", "L9", { selected: true }), remote))).toBeNull();
  const odd = { ...host, candidateType: "carrier-pigeon" };
  expect(wayOf(report(pair("P1", "L1", { selected: true }), odd, remote))).toBeNull();
});

test("brings what all its pairs have received, as far as the browser says", () => {
  const some = pair("P1", "L1", { bytesReceived: 3 });
  expect(receivedBytes(report(some, pair("P2", "L2", { bytesReceived: 4 }), pair("P3", "L1"), host))).toBe(7);
  expect(receivedBytes(report(pair("P1", "L1"), { ...host, bytesReceived: 5 }))).toBeNull();
});
