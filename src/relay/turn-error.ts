/** Why a STUN or TURN server is of no use: a word for programs and a sentence for people. */

export type TurnReason =
  /** The name cannot be resolved. */
  | "unknown_host"
  /** There is no way to its address from here. */
  | "unreachable"
  /** Nothing listens on the port. */
  | "refused"
  /** Nothing came back in time. */
  | "no_answer"
  /** It closed the connection. */
  | "closed"
  /** What answers is no TURN server, or speaks no TLS. */
  | "not_turn"
  /** Nobody that we trust stands behind its certificate, or it is for another name. */
  | "untrusted"
  /** It refuses username or password. */
  | "unauthorised"
  /** Too many allocations already, of this username or in all. */
  | "quota"
  /** It does not relay to that address. */
  | "forbidden_peer"
  /** It sent another error. */
  | "failed";

export class TurnError extends Error {
  override readonly name = "TurnError";
  readonly reason: TurnReason;

  constructor(reason: TurnReason, message: string = WORDS[reason], options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** They go on after the server's address. */
const WORDS: Record<TurnReason, string> = {
  unknown_host: "its name cannot be resolved",
  unreachable: "there is no way to its address from here",
  refused: "nothing listens there",
  no_answer: "it does not answer",
  closed: "it closes the connection",
  not_turn: "what answers there is no TURN server",
  untrusted: "its certificate is not trusted",
  unauthorised: "it refuses username or password",
  quota: "it has no allocation left: a quota is used up",
  forbidden_peer: "it does not relay to that address",
  failed: "it answers with an error",
};

const OF_ERRNO: Record<string, TurnReason> = {
  ENOTFOUND: "unknown_host",
  EAI_AGAIN: "unknown_host",
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EAFNOSUPPORT: "unreachable",
  // That of everybody in the network.
  EACCES: "unreachable",
  ETIMEDOUT: "no_answer",
  ECONNRESET: "closed",
  EPIPE: "closed",
  EPROTO: "not_turn",
  ERR_TLS_CERT_ALTNAME_INVALID: "untrusted",
};

/** What a socket or the resolver says. */
export function socketError(error: Error): TurnError {
  const { code = "", errors } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  // Of several addresses that were tried, one that answered no tells more than one that cannot be reached.
  const codes = errors ? errors.map((each) => each.code ?? "") : [code];
  const said = codes.includes("ECONNREFUSED") ? "ECONNREFUSED" : codes[0]!;
  if (/CERT|SELF_SIGNED|UNABLE_TO|ISSUER/.test(said) && !OF_ERRNO[said])
    return new TurnError("untrusted", undefined, { cause: error });
  if (said.startsWith("ERR_SSL"))
    return new TurnError("not_turn", "it speaks no TLS there", { cause: error });
  const reason = OF_ERRNO[said];
  if (reason === "untrusted")
    return new TurnError(reason, "its certificate is for another name", { cause: error });
  return reason
    ? new TurnError(reason, undefined, { cause: error })
    : new TurnError("failed", error.message, { cause: error });
}

/** What the server says to a request that was properly signed. */
export function answeredError(code: number, phrase: string): TurnError {
  // oxlint-disable-next-line no-control-regex
  const said = `${code} ${phrase.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "").slice(0, 80)}`.trim();
  switch (code) {
    case 401:
    case 441:
      return new TurnError("unauthorised");
    case 403:
      return new TurnError("forbidden_peer");
    case 486:
    case 508:
      return new TurnError("quota");
    default:
      return new TurnError("failed", `it answers ${said}`);
  }
}
