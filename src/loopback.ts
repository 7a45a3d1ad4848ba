import { BlockList, isIPv4 } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether an address, as a socket tells it, is of this very machine: `127.0.0.1`, `::1`, `::ffff:127.0.0.1`. */
export const isLoopback = (address: string): boolean =>
  loopback.check(address, isIPv4(address) ? "ipv4" : "ipv6");

/** Whether only this very machine reaches a server that listens on `host`. */
export const isLoopbackHost = (host: string): boolean => host === "localhost" || isLoopback(host);
