/**
 * Private addresses, as visitors who are at one tell them for the sake of others who are there too: who is elsewhere does
 * not hear them (S7). It is done where the visitor is who hears, for only there it is known by which way they come now.
 */
import { isPrivate } from "../protocol/private-address.ts";
import type { ServerMessage, Signal } from "../protocol/messages.ts";
import { parse } from "../protocol/parse.ts";
import { candidateLine, hideInData, hideInText, withoutAddresses } from "./hide-addresses.ts";

/**
 * That a signal is of a visitor at a private address is told by a space in front of its JSON, where it means nothing to a
 * node that does not know of it: so it goes wherever the signal goes, is kept with it and crosses links. A page that puts
 * one there itself loses nothing but the space and its own private addresses.
 */
const MARK = Buffer.from(" ");
const isMarked = (raw: Uint8Array): boolean => raw[0] === MARK[0];

export const signalOfLan = (raw: Uint8Array): Uint8Array => Buffer.concat([MARK, raw]);

/** What a visitor at a private address hears of a signal. */
export const signalThere = (raw: Uint8Array): Uint8Array => (isMarked(raw) ? raw.subarray(1) : raw);

/** What a visitor anywhere else hears of it, if anything. The hot path: one without the mark is passed on unread. */
export function signalAfar(raw: Uint8Array): Uint8Array | undefined {
  if (!isMarked(raw)) return raw;
  const parsed = parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString());
  if (!parsed.ok || parsed.message.type !== "signal") return undefined;
  const data = hideInData(parsed.message.data, publicOnly);
  if (data === undefined) return undefined;
  const left: Signal = { type: "signal", pair: parsed.message.pair, data };
  return Buffer.from(JSON.stringify(left));
}

/** The same of any other message. Only `matched` holds what another visitor said: once a match, so without a mark. */
export function messageAfar(message: ServerMessage): ServerMessage {
  if (message.type !== "matched" || message.offer === undefined) return message;
  const { offer } = message;
  return withoutPrivate(offer) === offer ? message : { ...message, offer: hideInText(offer, publicOnly) };
}

/** Relayed candidates stay wherever the relay is: where that is behind a NAT, calls by it meet at its private address. */
export function publicOnly(line: string): string | undefined {
  const candidate = candidateLine(line);
  if (!candidate) return withoutPrivate(line);
  const { before, address, between, type, rest } = candidate;
  if (type !== "relay" && isPrivate(address)) return undefined;
  return withoutPrivate(before) + address + between + withoutPrivate(rest);
}

const withoutPrivate = (text: string): string => withoutAddresses(text, isPrivate);
