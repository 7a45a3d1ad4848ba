/** Which way through the network a call takes and what it brings, read from what browsers tell of their connections. */
import type { CandidateType, Transport } from "../../src/protocol/messages.ts";
import { CANDIDATE_TYPES, TRANSPORTS } from "../../src/protocol/messages.ts";

/** By what kind of address each side is reached, and over what; over what the relay is, if ours takes one. */
export interface Way {
  local: CandidateType;
  remote: CandidateType;
  transport: Transport;
}

type Fields = Record<string, unknown>;

/** Null when no way is taken yet, or the browser does not say. */
export function wayOf(stats: RTCStatsReport): Way | null {
  const reports: Fields[] = [...stats.values()];
  const byId = (id: unknown) => reports.find((report) => report["id"] === id);
  const pair = byId(reports.find(({ type }) => type === "transport")?.["selectedCandidatePairId"]);
  // Older browsers only mark the pair itself.
  const pairs = reports.filter(({ type }) => type === "candidate-pair");
  const taken = pair ?? pairs.find(({ selected }) => selected === true) ?? pairs.find(isUsed);
  const [local, remote] = [byId(taken?.["localCandidateId"]), byId(taken?.["remoteCandidateId"])];
  const [ours, theirs] = [kind(local), kind(remote)];
  const over = local?.["relayProtocol"] ?? local?.["protocol"];
  const transport = TRANSPORTS.find((each) => each === over);
  return ours && theirs && transport ? { local: ours, remote: theirs, transport } : null;
}

/** What has arrived by all the ways that a connection has; null when the browser does not say. */
export function receivedBytes(stats: RTCStatsReport): number | null {
  const counts = [...stats.values()]
    .filter((report: Fields) => report["type"] === "candidate-pair")
    .map((report: Fields) => report["bytesReceived"])
    .filter((bytes) => typeof bytes === "number");
  return counts.length > 0 ? counts.reduce((sum, bytes) => sum + bytes) : null;
}

const isUsed = ({ nominated, state }: Fields): boolean => nominated === true && state === "succeeded";

const kind = (candidate: Fields | undefined): CandidateType | undefined =>
  CANDIDATE_TYPES.find((type) => type === candidate?.["candidateType"]);
