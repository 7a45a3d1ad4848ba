/**
 * Envelopes as bytes. A signal, the hot path, is its raw bytes behind three ids and is never parsed here; the other
 * notes are rare and travel as JSON, so that they may grow fields without a new format.
 */
import { MAX_HELD_SIGNALS } from "../protocol/limits.ts";
import type { Note } from "../session/note.ts";
import { Reader, type Writer } from "./bytes.ts";
import type { Envelope } from "./link.ts";

const SIGNAL = 1;
const NOTE = 2;
const TAKEOVER = 3;
const HELD = 4;
const STRANDED = 5;

export function writeEnvelope(writer: Writer, envelope: Envelope): void {
  switch (envelope.kind) {
    case "note": {
      const { to, from, note } = envelope;
      writer.byte(note.type === "signal" ? SIGNAL : NOTE);
      writer.text(to);
      writer.text(from);
      if (note.type === "signal") {
        writer.text(note.pair);
        writer.number(note.epoch ?? 0);
        writer.bytes(note.raw);
      } else {
        writer.text(JSON.stringify(note));
      }
      break;
    }
    case "takeover":
      writer.byte(TAKEOVER);
      writer.text(envelope.session);
      writer.number(envelope.epoch);
      writer.byte(envelope.late ? 1 : 0);
      break;
    case "held":
    case "stranded":
      writer.byte(envelope.kind === "held" ? HELD : STRANDED);
      writer.text(envelope.session);
      writer.number(envelope.epoch);
      if (envelope.kind === "stranded") writer.number(envelope.said);
      writer.text(envelope.pair);
      for (const frame of envelope.frames) writer.bytes(frame);
      break;
  }
}

/** Undefined when the bytes are no envelope. Never throws. */
export function readEnvelope(bytes: Buffer): Envelope | undefined {
  const reader = new Reader(bytes);
  const envelope = read(reader);
  return reader.failed || !reader.isAtEnd ? undefined : envelope;
}

function read(reader: Reader): Envelope | undefined {
  const kind = reader.byte();
  switch (kind) {
    case SIGNAL: {
      const to = reader.text();
      const from = reader.text();
      return {
        kind: "note",
        to,
        from,
        note: { type: "signal", pair: reader.text(), epoch: reader.number(), raw: copy(reader.bytes()) },
      };
    }
    case NOTE: {
      const to = reader.text();
      const from = reader.text();
      const note = readNote(reader.text());
      return note && { kind: "note", to, from, note };
    }
    case TAKEOVER:
      return {
        kind: "takeover",
        session: reader.text(),
        epoch: reader.number(),
        ...(reader.byte() === 1 && { late: true }),
      };
    case HELD:
    case STRANDED: {
      const session = reader.text();
      const epoch = reader.number();
      const said = kind === STRANDED ? reader.number() : 0;
      const pair = reader.text();
      const frames: Buffer[] = [];
      while (!reader.failed && !reader.isAtEnd) {
        if (frames.length === MAX_HELD_SIGNALS) return undefined;
        frames.push(copy(reader.bytes()));
      }
      return kind === HELD
        ? { kind: "held", session, epoch, pair, frames }
        : { kind: "stranded", session, epoch, said, pair, frames };
    }
  }
  return undefined;
}

/** A signal may be held for an absent visitor for long; a view would hold the whole message it came in as well. */
const copy = (view: Buffer): Buffer => Buffer.from(view);

function readNote(json: string): Note | undefined {
  let note: unknown;
  try {
    note = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!isRecord(note) || typeof note.pair !== "string") return undefined;
  return Object.hasOwn(isNote, note.type as string) && isNote[note.type as Note["type"]](note)
    ? (note as unknown as Note)
    : undefined;
}

type Fields = Record<string, unknown>;

/** Whether the fields beside `type` and `pair` are those of that note. */
const isNote: Record<Note["type"], (note: Fields) => boolean> = {
  matched: ({ mode, role, common, offer, epoch }) =>
    typeof epoch === "number" &&
    (mode === "video" || mode === "text") &&
    (role === "offerer" || role === "answerer") &&
    isCommon(common) &&
    isOptionalText(offer),
  confirmed: () => true,
  refused: () => true,
  last: ({ epoch }) => typeof epoch === "number",
  ended: ({ reason }) => typeof reason === "string" && Object.hasOwn(END_REASONS, reason),
  signal: () => false, // has a form of its own
};

const END_REASONS: Record<Extract<Note, { type: "ended" }>["reason"], true> = {
  left: true,
  next: true,
  lost: true,
  blocked: true,
  removed: true,
};

const isCommon = (common: unknown): boolean =>
  isRecord(common) &&
  Array.isArray(common.interests) &&
  common.interests.every((interest) => typeof interest === "string") &&
  isOptionalText(common.language);

const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === "string";
const isRecord = (value: unknown): value is Fields => typeof value === "object" && value !== null;
