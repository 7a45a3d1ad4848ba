/**
 * Anything but a public address or a made-up name (`….local`): loopback, private, carrier's, link-local, unique local.
 * It tells what the network at home looks like, and leads nowhere from elsewhere.
 */
export function isPrivate(address: string): boolean {
  if (/^[\w-]+\.local$/.test(address)) return false;
  const [a = -1, b = -1] = /^\d+\.\d+\.\d+\.\d+$/.test(address) ? address.split(".").map(Number) : [];
  if (a >= 0) {
    return (
      [0, 10, 127].includes(a) ||
      (a === 100 && b >= 64 && b < 128) ||
      (a === 169 && b === 254) ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168)
    );
  }
  // Of IPv6 only 2000::/3 is public.
  const head = Number.parseInt(/^([\da-f]{1,4}):/i.exec(address)?.[1] ?? "0", 16);
  return head < 0x2000 || head > 0x3fff;
}
