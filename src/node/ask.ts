/**
 * A session's call as a question to the matcher. Rejects when the store cannot be reached.
 * `avoid` names the nodes whose visitors cannot be told of a match now.
 */
import type { Holder, Matcher } from "../matching/matcher.ts";
import type { Answer, Call } from "../session/call.ts";

export async function ask(
  matcher: Matcher,
  holder: Holder,
  call: Call,
  avoid: () => readonly string[],
): Promise<Answer> {
  switch (call.name) {
    case "open":
      await matcher.open(holder);
      return { name: "open" };
    case "absent":
      await matcher.absent(holder);
      return { name: "absent" };
    case "restore":
      return { name: "restore", ...(await matcher.restore(holder, call.match)) };
    case "find":
      return { name: "find", outcome: await matcher.find(holder, call.find, avoid()) };
    case "undo":
      return { name: "undo", outcome: await matcher.undo(holder, call.pair, call.find, avoid()) };
    case "leave":
      return { name: "leave", left: await matcher.leave(holder) };
    case "end":
      return { name: "end", left: await matcher.end(holder) };
    case "block":
      return { name: "block", blocked: await matcher.block(holder, call.pair) };
  }
}
