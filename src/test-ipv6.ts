import { networkInterfaces } from "node:os";

/** Whether this machine is reached by IPv6 from itself. Many a container is not. */
export const hasIpv6Loopback = (): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
