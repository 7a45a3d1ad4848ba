/**
 * The one place where a frame from the node becomes a message. Checks what the model relies on and lets unknown types
 * and fields pass by, so that a newer node does not break an open page. What strangers put into `offer` and `data`
 * is not looked at here but in call-signal.ts.
 */
import type { ServerMessage } from "../../src/protocol/messages.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const number: Check = (value) => typeof value === "number" && Number.isFinite(value);
const object: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const list: Check = (value) => Array.isArray(value);
const oneOf =
  (...values: unknown[]): Check =>
  (value) =>
    values.includes(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const common: Check = (value) => object(value) && list((value as { interests?: unknown }).interests);

const settings: Check = (value) => object(value) && optional(flag)((value as { lan?: unknown }).lan);

const mode = oneOf("video", "text");
const role = oneOf("offerer", "answerer");

const shapes: Record<ServerMessage["type"], Record<string, Check>> = {
  welcome: {
    version: number,
    resume: text,
    resumed: flag,
    state: oneOf("idle", "waiting", "paired"),
    pair: optional(text),
    mode: optional(mode),
    role: optional(role),
    common: optional(common),
    iceServers: list,
    iceTransportPolicy: oneOf("all", "relay"),
    online: number,
    settings,
  },
  waiting: { since: number, online: number, waiting: number, relaxed: list },
  matched: { pair: text, mode, role, offer: optional(text), offerUsed: optional(flag), common },
  signal: { pair: text, data: object },
  ended: { pair: text, reason: text },
  status: { online: number, waiting: number },
  ice: { iceServers: list },
  reported: { pair: text },
  banned: { until: (value) => value === null || number(value), reason: text },
  drain: { after: number },
  pong: {},
  error: { code: text, message: text, field: optional(text), retryAfter: optional(number) },
};

/** A message, or null for anything that is none (any more, or yet). */
export function parseServerMessage(frame: unknown): ServerMessage | null {
  if (typeof frame !== "string") return null;
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    return null;
  }
  if (!object(value)) return null;
  const message = value as Record<string, unknown>;
  const type = message["type"];
  if (typeof type !== "string" || !Object.hasOwn(shapes, type)) return null;
  const shape = shapes[type as ServerMessage["type"]];
  const fits = Object.entries(shape).every(([field, check]) => check(message[field]));
  return fits ? (message as unknown as ServerMessage) : null;
}
