/** The relays of the other nodes of the cluster, as their cards in the registry say. */
import type { Registry } from "../links/registry.ts";
import type { RelayPlace } from "./ice-servers.ts";

/** Looks over the shoulder of who looks for other nodes: the answer to `places` is that of the last look. */
export function otherRelays(
  registry: Registry,
  own: () => RelayPlace | undefined,
): { registry: Registry; places(): readonly RelayPlace[] } {
  let places: readonly RelayPlace[] = [];
  const nameOf = ({ hosts, port }: RelayPlace): string => `${hosts[0]} ${port}`;
  return {
    registry: {
      ...registry,
      async look(nodes) {
        const cards = await registry.look(nodes);
        // The workers of one machine have one relay, and several of its cards.
        const found = new Map(cards.flatMap(({ relay }) => (relay ? [[nameOf(relay), relay] as const] : [])));
        const ours = own();
        if (ours) found.delete(nameOf(ours));
        places = [...found.values()];
        return cards;
      },
    },
    places: () => places,
  };
}
