/**
 * What two pages say to each other through the node while they set up a call, and the strict parser for it. The other
 * side is a stranger: whatever is not exactly one of these shapes within these bounds does not exist.
 */
import { MAX_OFFER_BYTES } from "../../src/protocol/limits.ts";

export interface Candidate {
  candidate: string;
  sdpMid: string | null;
  sdpMLineIndex: number | null;
  usernameFragment: string | null;
}

/**
 * `generation` counts the peer connections that the offerer has built for the pair, from 1; an offer that travelled
 * with `find` is generation 1. A signal of another generation than the current one is late and dropped.
 *
 * - `description`: an offer (only ever from the offerer; the same generation again restarts ICE) or its answer.
 * - `candidates`: of the sender's peer connection of that generation.
 * - `restart`: the answerer asks for an ICE restart or for a new connection; `generation` is the last it knows, 0 for
 *   none.
 */
export type CallSignal =
  | { description: { type: "offer" | "answer"; sdp: string }; generation: number }
  | { candidates: Candidate[]; generation: number }
  | { restart: "ice" | "connection"; generation: number };

export const MAX_CANDIDATES_PER_SIGNAL = 16;
const MAX_CANDIDATE_CHARACTERS = 1_024;
const MAX_GENERATION = 1_000_000;
/** Sound, picture, data channel: no page of ours ever makes more sections. */
const MAX_SECTIONS = 3;

export function parseCallSignal(data: unknown): CallSignal | null {
  if (!isObject(data)) return null;
  const generation = data["generation"];
  if (!isInteger(generation, 0, MAX_GENERATION)) return null;
  if ("restart" in data) {
    const restart = data["restart"];
    return restart === "ice" || restart === "connection" ? { restart, generation } : null;
  }
  if (generation === 0) return null;
  if ("description" in data) {
    const description = data["description"];
    if (!isObject(description)) return null;
    const { type, sdp } = description;
    if ((type !== "offer" && type !== "answer") || !isSdp(sdp)) return null;
    return { description: { type, sdp }, generation };
  }
  const list = data["candidates"];
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_CANDIDATES_PER_SIGNAL) return null;
  const candidates = list.map(parseCandidate);
  return candidates.every((candidate) => candidate !== null) ? { candidates, generation } : null;
}

/** Whether a stranger's text may be handed to the browser as a session description. */
export function isSdp(value: unknown): value is string {
  if (typeof value !== "string" || value.length > MAX_OFFER_BYTES || !value.startsWith("v=0")) return false;
  return (value.match(/^m=/gm)?.length ?? 0) <= MAX_SECTIONS;
}

function parseCandidate(value: unknown): Candidate | null {
  if (!isObject(value)) return null;
  const { candidate, sdpMid = null, sdpMLineIndex = null, usernameFragment = null } = value;
  if (typeof candidate !== "string" || candidate.length > MAX_CANDIDATE_CHARACTERS) return null;
  if (!/^candidate:[\x20-\x7e]+$/.test(candidate)) return null;
  if (sdpMid !== null && !(typeof sdpMid === "string" && sdpMid.length <= 32)) return null;
  if (sdpMLineIndex !== null && !isInteger(sdpMLineIndex, 0, MAX_SECTIONS - 1)) return null;
  if (sdpMid === null && sdpMLineIndex === null) return null;
  if (
    usernameFragment !== null &&
    !(typeof usernameFragment === "string" && usernameFragment.length <= 256)
  ) {
    return null;
  }
  return { candidate, sdpMid, sdpMLineIndex, usernameFragment };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isInteger = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
