/** Nodes that die or hang, as processes of their own. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { Peer } from "./link.ts";
import { SECRET, TIMES, openLink, signal, type TestNode } from "./test-links.ts";

async function linkedToProcess(): Promise<TestNode & { child: ChildProcess }> {
  const script = fileURLToPath(new URL("test-node.ts", import.meta.url));
  const child = fork(script, ["other", SECRET, JSON.stringify(TIMES)], { execArgv: [] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const here = await openLink("here", { times: { redial: 60_000 } });
  const [peer] = (await once(child, "message")) as [Peer];
  here.link.setPeers([peer]);
  child.send([here.link.self]);
  await here.heard.until(() => here.link.isReady());
  return { ...here, child };
}

test("a node that was killed is noticed without waiting for a silence", async () => {
  const { link, heard, child } = await linkedToProcess();
  link.send("other", signal("echo"));
  await heard.until(() => heard.envelopes.length === 1);
  child.kill("SIGKILL");
  await heard.until(() => heard.peers.includes("other down"));
  expect(link.send("other", signal("to the dead"))).toBe(false);
  expect(link.isReady()).toBe(true); // its lease has yet to run out
});

test("a node that hangs is noticed by its silence, and linked again when it goes on; nothing is lost", async () => {
  const { link, heard, child } = await linkedToProcess();
  child.kill("SIGSTOP");
  let accepted = 0;
  while (link.send("other", signal(`while it hangs ${accepted}`)) && accepted < 100) accepted += 1;
  expect(accepted).toBe(100);
  await heard.until(() => heard.peers.includes("other down"));
  expect(link.send("other", signal("not now"))).toBe(false);
  child.kill("SIGCONT");
  await heard.until(() => heard.peers.at(-1) === "other up");
  link.send("other", signal("goes on"));
  await heard.until(() => heard.signals.at(-1) === "goes on");
  expect(heard.losses).toEqual([]);
});
