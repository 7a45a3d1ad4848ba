/**
 * The log. It goes to standard error, so that standard output holds only what a command was asked for; systemd and
 * containers collect both. For people on a terminal, one JSON object a line otherwise.
 *
 * At the default level nothing a visitor said, nothing that opens a session and no visitor's address is logged. The
 * code that logs sees to that; what is taken out here is the second line of defence.
 */
import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from "pino";
import type { Config } from "./config/options.ts";
import { lineWriter } from "./line-writer.ts";

export type { Logger };

/** Fields that are never written, at any level: what opens a session or a relay, and what visitors say and send. */
const SECRETS = ["resume", "token", "secret", "password", "credential", "device", "invite", "proof"];
const HEADERS = ["authorization", "cookie"];
const WORDS = ["data", "offer", "sdp", "candidate", "text", "details", "interests"];
/** Fields that are written only at debug and trace, where the operator asked for them. */
const ADDRESSES = ["address", "remoteAddress", "ip", "x-forwarded-for", "forwarded"];

/** The user and password of a URL, wherever it stands: most often inside the message of an error. */
const URL_CREDENTIALS = /(?<=:\/\/)[^\s/@"]+@/g;

/** `to` takes one line at a time; standard error unless a test wants them. */
export async function openLog(
  { log_level, log_format }: Pick<Config, "log_level" | "log_format">,
  to?: DestinationStream,
): Promise<Logger> {
  const verbose = log_level === "debug" || log_level === "trace";
  const hidden = [...SECRETS, ...HEADERS, ...WORDS, ...(verbose ? [] : ADDRESSES)];
  const pretty = log_format === "pretty" || (log_format === "auto" && process.stderr.isTTY);
  return pino(
    {
      level: log_level,
      base: undefined,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: verbose ? stdSerializers.err : briefError },
      redact: { paths: hidden.flatMap(everyDepth), censor: "[hidden]" },
      hooks: { streamWrite: (line) => line.replace(URL_CREDENTIALS, "[hidden]@") },
    },
    pretty ? await forPeople(to ?? process.stderr, verbose) : (to ?? lineWriter(2)),
  );
}

const everyDepth = (field: string): string[] => {
  const spelled = `["${field}"]`;
  return [spelled, `*${spelled}`, `*.*${spelled}`];
};

/** A stack trace is for those who look for a fault: they raise the level. */
function briefError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  return { type: error.name, message: error.message, ...(code === undefined ? {} : { code }) };
}

/** Formats in this very thread: a worker thread would need a file of its own beside the single executable. */
async function forPeople(to: DestinationStream, verbose: boolean): Promise<DestinationStream> {
  // Loaded only here, because it costs a tenth of the start.
  const { prettyFactory } = await import("pino-pretty");
  const pretty = prettyFactory({
    colorize: to === process.stderr && process.stderr.hasColors?.() === true && !process.env.NO_COLOR,
    translateTime: "SYS:HH:MM:ss",
    singleLine: true,
    // Errors spread over several lines only where they show their stack.
    errorLikeObjectKeys: verbose ? ["err"] : [],
    messageFormat: (line, messageKey) => withoutControls(String(line[messageKey] ?? "")),
  });
  return { write: (line) => void to.write(pretty(line)) };
}

/** A stranger's escape sequences must never reach the operator's terminal. */
// oxlint-disable-next-line no-control-regex
const withoutControls = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "�");
