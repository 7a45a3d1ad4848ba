/** What breaks, and mends by itself after a while or at the next rest. */
import type { World } from "./world.ts";

export type Fault = keyof typeof FAULTS;

export const FAULTS = {
  "store away": (world) => loseStore(world, "away"),
  "store hangs": (world) => loseStore(world, "hanging"),
  "store wiped": (world) => world.wipeStore(),
  "link cut": ({ chance, timeline, links, members }) => {
    const [one, other] = [chance.oneOf(members)!, chance.oneOf(members)!];
    if (one !== other) links.cut(one.id, other.id);
    if (chance.happens(0.5)) timeline.after(chance.between(10, 30_000), () => links.heal());
  },
  "node killed": (world) => {
    if (world.members.length > 1) world.kill(world.chance.oneOf(world.members)!);
  },
  "node paused": ({ chance, timeline, members }) => {
    const member = chance.oneOf(members)!;
    if (member.isPaused) return;
    member.pause();
    timeline.after(chance.oneOf([200, 2_000, 8_000, 30_000])!, () => {
      if (member.isPaused) member.goOn(chance.happens(0.5));
    });
  },
  "node drains": (world) => {
    const { chance, members } = world;
    const member = chance.oneOf(members)!;
    void member.node.drain(chance.between(0, 2_000)).then(() => {
      if (world.members.includes(member)) world.kill(member);
    });
  },
  "node starts": (world) => {
    if (world.members.length < 5) world.startNode();
  },
} satisfies Record<string, (world: World) => void>;

function loseStore({ chance, timeline, store }: World, state: "away" | "hanging"): void {
  store.state = state;
  timeline.after(chance.between(10, 8_000), () => store.goOn());
}
