/**
 * Writes lines to a file descriptor. It waits for no slow reader but at the end of the process, for the last lines. What
 * cannot be written is lost and does no more harm: a server outlives its log, and writes it again when there is room.
 * (pino's own destination throws when the disk is full, and at the end of the process it tries again for ever.)
 */
import { write, writeSync } from "node:fs";
import type { DestinationStream } from "pino";

/** PIPE_BUF. Several workers write to one pipe, which keeps together what is written at once up to here. */
const MAX_ATOMIC_BYTES = 4096;

/** A reader that stalls must not make memory grow: beyond this much, lines are lost. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;

/** When a pipe that does not block is tried again after it was full. */
const FULL_PIPE_MS = 100;

export function lineWriter(fd: number, maxBacklog = MAX_BACKLOG_BYTES): DestinationStream {
  const waiting: Buffer[] = [];
  let backlog = 0;
  let writing = false;

  /** As many of the lines that wait as may be written at once. */
  const take = (): Buffer => {
    let [count, size] = [1, waiting[0]!.length];
    while (count < waiting.length && size + waiting[count]!.length <= MAX_ATOMIC_BYTES)
      size += waiting[count++]!.length;
    backlog -= size;
    return Buffer.concat(waiting.splice(0, count));
  };
  const next = (): void => {
    writing = waiting.length > 0;
    if (!writing) return;
    const chunk = take();
    write(fd, chunk, (error, written) => {
      const busy = error?.code === "EAGAIN";
      const rest = busy ? chunk : error ? undefined : chunk.subarray(written);
      if (rest?.length) {
        waiting.unshift(rest);
        backlog += rest.length;
      }
      if (busy) setTimeout(next, FULL_PIPE_MS);
      else next();
    });
  };

  process.once("exit", () => {
    try {
      let rest = Buffer.concat(waiting);
      while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
    } catch {
      // There is nobody left to tell.
    }
  });
  return {
    write(line) {
      const bytes = Buffer.from(line);
      if (backlog + bytes.length > maxBacklog) return;
      waiting.push(bytes);
      backlog += bytes.length;
      if (!writing) next();
    },
  };
}
