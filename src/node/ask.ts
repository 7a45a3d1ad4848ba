/** A session's call as a question to the matcher. Rejects when the store cannot be reached. */
import type { Holder, Matcher } from "../matching/matcher.ts";
import type { Answer, Call } from "../session/session.ts";

export async function ask(matcher: Matcher, holder: Holder, call: Call): Promise<Answer> {
  switch (call.name) {
    case "open":
      await matcher.open(holder);
      return { name: "open" };
    case "absent":
      await matcher.absent(holder);
      return { name: "absent" };
    case "restore":
      return { name: "restore", restored: await matcher.restore(holder, call.match) };
    case "find":
      return { name: "find", outcome: await matcher.find(holder, call.find) };
    case "undo":
      return { name: "undo", outcome: await matcher.undo(holder, call.pair, call.find) };
    case "leave":
      return { name: "leave", left: await matcher.leave(holder) };
    case "end":
      return { name: "end", left: await matcher.end(holder) };
    case "block":
      return { name: "block", blocked: await matcher.block(holder, call.pair) };
  }
}
