/**
 * The other tabs and windows of this browser. The node never brings them together (rule M3), so who tries the place alone
 * in two of them waits in vain; and in its numbers each of them is somebody. So they tell each other what they do.
 */
import { computed, signal } from "@preact/signals";

/** The part of a BroadcastChannel that is used: what one tab says on it, all others hear. */
export interface Channel {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
}

/** What the node knows a tab to do; null where it does not know the tab. */
export type Doing = "idle" | "waiting" | "paired" | null;

/** `ask` and `answer` are a roll call: so who has vanished without a word is noticed. */
interface Word {
  tab: string;
  kind: "news" | "ask" | "answer";
  doing: Doing;
}

export class Tabs {
  readonly #channel: Channel | null;
  readonly #tab: string;
  #doing: Doing = null;
  readonly #others = signal<ReadonlyMap<string, Doing>>(new Map());
  readonly #counted = signal<ReadonlyMap<string, Doing>>(new Map());
  /** In which roll call each was last heard, be it by an answer or by news. */
  readonly #heard = new Map<string, number>();
  #roll = 0;
  /** Whether the visitor looks or talks in another one. */
  readonly busy = computed(() => [...this.#others.value.values()].some((doing) => doing !== "idle"));
  /** How many there were of them when the node's numbers were last said, and how many of those waited. */
  readonly counted = computed(() => {
    const all = [...this.#counted.value.values()];
    return { online: all.length, waiting: all.filter((doing) => doing === "waiting").length };
  });

  /** Without a channel this tab is the only one, as far as it knows. */
  constructor(channel: Channel | null, tab: string) {
    this.#channel = channel;
    this.#tab = tab;
    if (channel) channel.onmessage = ({ data }) => this.#hear(data as Partial<Word> | null);
    this.#say("ask");
  }

  tell(doing: Doing): void {
    if (doing === this.#doing) return;
    this.#doing = doing;
    this.#say("news");
  }

  /**
   * The node has said its numbers: the tabs that answer now are in them. What they do afterwards the numbers do not know,
   * so it must not be taken off them.
   */
  count(): void {
    // Two numbers may come at once, and the answers to the first one later.
    const there = [...this.#others.value].filter(([tab]) => this.#heard.get(tab)! >= this.#roll - 1);
    this.#roll += 1;
    this.#others.value = this.#counted.value = new Map(there);
    this.#say("ask");
  }

  #say(kind: Word["kind"]): void {
    this.#channel?.postMessage({ tab: this.#tab, kind, doing: this.#doing } satisfies Word);
  }

  #hear(word: Partial<Word> | null): void {
    if (typeof word?.tab !== "string" || word.doing === undefined) return; // a tab of another version
    const { tab, kind, doing } = word;
    this.#heard.set(tab, this.#roll);
    this.#others.value = changed(this.#others.value, tab, doing);
    if (kind === "answer") this.#counted.value = changed(this.#counted.value, tab, doing);
    if (kind === "ask") this.#say("answer");
  }
}

function changed(tabs: ReadonlyMap<string, Doing>, tab: string, doing: Doing): ReadonlyMap<string, Doing> {
  const copy = new Map(tabs);
  if (doing === null) copy.delete(tab);
  else copy.set(tab, doing);
  return copy;
}
