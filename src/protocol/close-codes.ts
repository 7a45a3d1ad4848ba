/**
 * Why the node closes a connection. 4400–4499 mean "connect again", 4500–4599 "do not retry by yourself"; a client
 * needs no more than the range.
 */
export const CloseCode = {
  draining: 4400,
  tooSlow: 4401,
  elsewhere: 4402,
  heartbeatLost: 4408,
  banned: 4500,
  protocolViolation: 4501,
  flooding: 4502,
  superseded: 4503,
  notAdmitted: 4504,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** Whether a client that was closed with `code` may connect again by itself. Codes of others (1006 …) may. */
export const mayReconnect = (code: number): boolean => code < 4500 || code > 4599;
