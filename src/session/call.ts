/**
 * What a session asks of the matcher, and what that answers. Calls go out one at a time, in order: what a visitor wants
 * next waits its turn or replaces what has become pointless.
 */
import type { EndReason, ReportReason } from "../protocol/messages.ts";
import type { Find, Left, Match, Outcome, Partner, Stay } from "./match.ts";

/** `over` is the pair that ends with it, as far as we know: its other side is told. */
export type Call =
  | { readonly name: "open" }
  | { readonly name: "find"; readonly find: Find; readonly over?: Left }
  | { readonly name: "undo"; readonly pair: string; readonly find: Find; readonly over: Left }
  | { readonly name: "absent" }
  | { readonly name: "leave"; readonly reason: EndReason; readonly over?: Left }
  | {
      readonly name: "block";
      readonly pair: string;
      readonly report?: { reason: ReportReason; details?: string };
      readonly over?: Left;
    }
  | { readonly name: "restore"; readonly match?: Match }
  | { readonly name: "end"; readonly over?: Left };

export type Answer =
  | { readonly name: "open" | "absent" }
  /** `there`: where the other side lives, as far as the store knows. */
  | {
      readonly name: "restore";
      readonly restored: "held" | "over" | "alone" | "superseded";
      readonly there?: Stay;
    }
  | { readonly name: "find" | "undo"; readonly outcome: Outcome }
  | { readonly name: "leave" | "end"; readonly left?: Left | "superseded" }
  | {
      readonly name: "block";
      readonly blocked: { left?: Left; partnerDevice: string } | "superseded" | null;
    };

/** The queue with one more call, in place of those queued ones that it makes pointless. */
export function enqueue(queued: readonly Call[], call: Call): readonly Call[] {
  switch (call.name) {
    case "leave":
    case "end": {
      const over = call.over ?? queued.map(overBy).findLast((left) => left !== undefined);
      const still = queued.filter(({ name }) => name === "open" || name === "block" || name === "restore");
      // Who leaves when their grace is over is gone all the same.
      const end = queued.some(({ name }) => name === "end");
      return [...still, end ? { name: "end", over } : { ...call, over }];
    }
    case "find":
    case "absent":
      // A find that also ends a pair must not be lost.
      return [
        ...queued.filter((q) => q.name !== "absent" && (q.name !== "find" || q.find.leaving !== undefined)),
        call,
      ];
    case "restore":
      return [...queued.filter(({ name }) => name !== "restore"), call];
    default:
      return [...queued, call];
  }
}

/** The pair that this call ends, as far as we know. */
export function overBy(call: Call): Left | undefined {
  return "over" in call ? call.over : undefined;
}

/** The call with the other side of the pair that it ends where that lives now. */
export function withMoved<Any extends Call>(call: Any, pair: string, partner: Partner): Any {
  return overBy(call)?.pair === pair ? { ...call, over: { pair, partner } } : call;
}

/** Why the pair ends that this call ends. */
export function endReason(call: Call): EndReason {
  switch (call.name) {
    case "find":
      return "next";
    case "leave":
      return call.reason;
    case "block":
      return "blocked";
    default:
      return "lost";
  }
}

/** The pair that the store has ended with this answer. */
export function leftBy(answer: Answer): Left | undefined {
  if (answer.name === "leave" || answer.name === "end")
    return answer.left === "superseded" ? undefined : answer.left;
  if (answer.name === "block") return answer.blocked === "superseded" ? undefined : answer.blocked?.left;
  return "outcome" in answer && "left" in answer.outcome ? answer.outcome.left : undefined;
}

/** Whether another node holds the session now: nothing was done. */
export function isSuperseded(answer: Answer): boolean {
  if (answer.name === "leave" || answer.name === "end") return answer.left === "superseded";
  if (answer.name === "block") return answer.blocked === "superseded";
  if (answer.name === "restore") return answer.restored === "superseded";
  return "outcome" in answer && answer.outcome.kind === "superseded";
}
