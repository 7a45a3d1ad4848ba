/** The servers that the node gives pages to find a way to each other, and which ways a connection may take. */
import { computed, signal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import type { IceServer, Welcome } from "../../src/protocol/messages.ts";
import type { Discretion } from "./discretion.ts";
import type { AddressHidden } from "./state.ts";

export class Ice {
  /** Whether strangers never learn this visitor's address: from the next call on. */
  readonly addressHidden: ReadonlySignal<AddressHidden>;
  /** Null before the node has said anything: there can be no peer connection yet. */
  readonly #servers = signal<IceServer[] | null>(null);
  readonly #forced = signal(false);
  #lan = false;

  /** Whether there is a relay to hide an address with; null while that is not known. */
  readonly relayOffered = computed(() => this.#servers.value && this.#servers.value.some(isRelay));

  /** `wished`: whether the visitor wants it so, wherever the place leaves the choice. */
  constructor(wished: () => boolean) {
    this.addressHidden = computed(() => (this.#forced.value ? "byPlace" : wished() ? "byVisitor" : "no"));
  }

  get relayOnly(): boolean {
    return this.addressHidden.value !== "no";
  }

  /** Whether no call can come about: nobody relays what may go by a relay alone. */
  get relayLacks(): boolean {
    return this.relayOnly && this.relayOffered.value === false;
  }

  welcome({ iceServers, iceTransportPolicy, settings }: Welcome): void {
    this.#servers.value = iceServers;
    this.#forced.value = iceTransportPolicy === "relay";
    this.#lan = settings.lan === true;
  }

  renew(servers: IceServer[]): void {
    this.#servers.value = servers;
  }

  configuration(relayOnly: boolean): RTCConfiguration {
    const iceServers = this.#servers.peek() ?? [];
    return { iceServers, iceTransportPolicy: relayOnly ? "relay" : "all", bundlePolicy: "max-bundle" };
  }

  discretion(relayOnly: boolean): Discretion {
    return { relayOnly, lan: this.#lan };
  }
}

const isRelay = ({ urls }: IceServer): boolean => [urls].flat().some((url) => /^turns?:/.test(url));
