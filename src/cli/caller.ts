import type { Env } from "../config/options.ts";

/** Who runs a command: a shell, or a test. */
export interface Caller {
  readonly env: Env;
  /** What the command was asked for. */
  out(text: string): void;
  /** What went wrong. */
  err(text: string): void;
  /** It does not want a command to run, but to know what may come next. */
  readonly completing: boolean;
}

/** The shell that started this process. */
export function shell(args: readonly string[]): Caller {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) is no failure.
    if (code === "EPIPE") process.exit(0);
    process.stderr.write(`chatrandom: cannot write the output (${code})\n`);
    process.exit(1);
  });
  // A terminal that went away must not take the server with it.
  process.stderr.on("error", () => {});
  return {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    completing: args.includes("--get-yargs-completions"),
  };
}
