/** Tabs of one browser with each other, and what each makes of it. */
import { expect, test } from "vitest";
import { Tabs } from "./tabs.ts";
import { FakeChannels, settle } from "./testing/fakes.ts";

function browser() {
  const channels = new FakeChannels();
  let opened = 0;
  return {
    channels,
    open(name = "mine") {
      const channel = channels.open(name);
      return { channel, tabs: new Tabs(channel, `tab ${++opened}`) };
    },
  };
}

test("a tab knows that another one looks or talks, whichever was first, and when it no longer does", async () => {
  const { open } = browser();
  const { tabs: first } = open();
  first.tell("waiting");
  await settle();
  const { tabs: second } = open();
  second.tell("idle");
  await settle();
  expect([first.busy.value, second.busy.value]).toEqual([false, true]);
  first.tell("idle");
  second.tell("paired");
  await settle();
  expect([first.busy.value, second.busy.value]).toEqual([true, false]);
  second.tell(null);
  await settle();
  expect(first.busy.value).toBe(false);
});

test("the numbers of the node are set against the tabs of their moment, not against what those do later", async () => {
  const { open } = browser();
  const { tabs } = open();
  const { tabs: other } = open();
  other.tell("idle");
  await settle();
  expect(tabs.counted.value).toEqual({ online: 0, waiting: 0 });
  tabs.count();
  await settle();
  expect(tabs.counted.value).toEqual({ online: 1, waiting: 0 });
  other.tell("waiting");
  await settle();
  expect(tabs.counted.value).toEqual({ online: 1, waiting: 0 });
  tabs.count();
  await settle();
  expect(tabs.counted.value).toEqual({ online: 1, waiting: 1 });
  other.tell(null);
  await settle();
  expect(tabs.counted.value).toEqual({ online: 1, waiting: 1 });
  tabs.count();
  await settle();
  expect(tabs.counted.value).toEqual({ online: 0, waiting: 0 });
});

test("the first number counts tabs that answer after it", async () => {
  const { open } = browser();
  open().tabs.tell("waiting");
  await settle();
  const { tabs } = open();
  tabs.count();
  expect(tabs.counted.value.online).toBe(0);
  await settle();
  expect(tabs.counted.value).toEqual({ online: 1, waiting: 1 });
});

test("a tab that vanishes without a word is missed by the roll calls, and one that is only slow is not", async () => {
  const { open } = browser();
  const { tabs } = open();
  const { tabs: other, channel } = open();
  other.tell("waiting");
  await settle();
  tabs.count();
  tabs.count(); // before anybody could answer
  expect(tabs.busy.value).toBe(true);
  await settle();
  channel.close();
  for (let n = 0; n < 3; n += 1) {
    tabs.count();
    await settle();
  }
  expect([tabs.busy.value, tabs.counted.value.online]).toEqual([false, 0]);
});

test("who has another token is no tab of this visitor, what is no word of a tab says nothing, and without a channel there are none", async () => {
  const { open, channels } = browser();
  const { tabs } = open();
  open("of somebody else").tabs.tell("waiting");
  for (const word of [null, "waiting", { tab: 7, doing: "waiting" }, { tab: "old" }])
    channels.open("mine").postMessage(word);
  await settle();
  tabs.count();
  await settle();
  expect([tabs.busy.value, tabs.counted.value.online]).toEqual([false, 0]);

  const alone = new Tabs(null, "alone");
  alone.tell("waiting");
  alone.count();
  expect([alone.busy.value, alone.counted.value.online]).toEqual([false, 0]);
});
