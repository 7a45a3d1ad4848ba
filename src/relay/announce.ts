/** What the log says of the relay at the start: from where it can be reached, and what calls from elsewhere need. */
import { isPrivate } from "../address-ranges.ts";
import type { Config } from "../config/options.ts";
import { isLoopback } from "../loopback.ts";
import type { RelayAddresses } from "./addresses.ts";

export interface AnnounceParts {
  readonly addresses: RelayAddresses;
  readonly port: number;
  readonly config: Pick<Config, "http" | "turn">;
  /** The servers that are asked for its public address. */
  readonly asks: readonly string[];
  readonly log: {
    info(what: object, message: string): void;
    warn(what: object, message: string): void;
  };
}

export function announce({ addresses, port, config, asks, log }: AnnounceParts): void {
  const { offered: at, reach, allowPrivate } = addresses;
  const { public_address } = config.turn;
  if (public_address !== "" && isPrivate(public_address)) {
    log.info({ at, port }, "the relay can be reached in the private network that turn.public_address is of");
  } else if (reach === "public") log.info({ at, port }, "the relay can be reached from everywhere");
  else if (reach === "private") {
    log.info(
      { at, port, allowPrivate, asks },
      "the relay is in a private network. For calls from elsewhere forward its ports to this machine" +
        (asks.length > 0
          ? "; from where it is seen is asked once it runs"
          : " and say by which address it is reached then: turn.public_address"),
    );
  } else {
    log.info(
      { at, port },
      "only this machine reaches the relay. For others: turn.host, or domain when a proxy is in front",
    );
  }
  const proxies = config.http.trusted_proxies.filter(isElsewhere);
  if (reach === "private" && proxies.length > 0) {
    log.warn(
      { at, port, proxies },
      "while no public address of the relay is known, visitors look for it at the proxy's name: forward its ports from " +
        "there to this machine, or set turn.public_address, or turn.urls for a relay elsewhere",
    );
  }
}

/** Whether a proxy may be on another machine: an address, a network, or a name that proxy-addr knows. */
const isElsewhere = (proxy: string): boolean =>
  proxy !== "loopback" && !isLoopback(proxy.replace(/\/.*$/, ""));
