/**
 * The executable behind a NAT, in network namespaces as root can make them:
 *
 *     server ──┐
 *              ├── router ── outside: a STUN server, a visitor
 *     other ───┘
 *
 * The router leads what comes for its public address to `server`, also what comes from inside; to `other` it leads nothing.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Appliance, startAppliance } from "../../ui/e2e/appliance.ts";
import type { IceServer } from "../protocol/messages.ts";
import { coturnBinary } from "../relay/test-relay.ts";
import { until } from "../test-until.ts";

const EXECUTABLE = fileURLToPath(new URL("../../dist/chatrandom", import.meta.url));

/** Public as far as the executable knows, and nobody's in these namespaces. */
const [PUBLIC, OUTSIDE] = ["9.9.9.1", "9.9.9.2"];
const [SERVER, OTHER] = ["10.77.0.2", "10.77.1.2"];
const FROM = `--turn-public-address-from=stun:${OUTSIDE}:3478`;

// Interface names have 15 characters at most.
const own = `cr${process.pid.toString(36)}`;
const [server, other, router, outside] = ["s", "i", "r", "o"].map((each) => own + each) as [
  string,
  string,
  string,
  string,
];
const run = (command: string): void => {
  execFileSync("/bin/sh", ["-ec", command], { stdio: ["ignore", "ignore", "pipe"] });
};

let stun: ChildProcess;
const running: Appliance[] = [];
beforeAll(async () => {
  const all = [
    [server, "10.77.0"],
    [other, "10.77.1"],
    [outside, "9.9.9"],
  ] as const;
  run(`ip netns add ${router}; ip -n ${router} link set lo up`);
  for (const [name, network] of all) {
    run(`
      ip netns add ${name}
      ip link add ${name}0 netns ${name} type veth peer name ${name} netns ${router}
      ip -n ${router} address add ${network}.1/24 dev ${name}
      ip -n ${router} link set ${name} up
      ip -n ${name} address add ${network}.2/24 dev ${name}0
      ip -n ${name} link set lo up
      ip -n ${name} link set ${name}0 up`);
    if (name !== outside) run(`ip -n ${name} route add default via ${network}.1`);
  }
  run(`ip netns exec ${router} sh -ec '
    sysctl -qw net.ipv4.ip_forward=1
    nft "
      table ip nat {
        chain prerouting {
          type nat hook prerouting priority dstnat
          ip daddr ${PUBLIC} iifname { ${outside}, ${server} } dnat to ${SERVER}
        }
        chain postrouting {
          type nat hook postrouting priority srcnat
          ip saddr 10.77.0.0/16 oifname { ${outside}, ${server} } snat to ${PUBLIC}
        }
      }"'`);
  const settings = ["-n", "--no-auth", "--no-cli", "--no-tls", "--no-dtls", "--log-file=stdout"];
  // An interface counts only once the kernel has seen that its other end is up.
  const isUp = (name: string): boolean =>
    execFileSync("ip", ["-n", name, "link", "show", `${name}0`], { encoding: "utf8" }).includes("state UP");
  await until(() => all.every(([name]) => isUp(name)), 20);
  const stunServer = [coturnBinary(), ...settings, `--listening-ip=${OUTSIDE}`, "--pidfile="];
  stun = spawn("ip", ["netns", "exec", outside, ...stunServer], { stdio: "ignore" });
});
afterAll(async () => {
  for (const appliance of running) await appliance.stop();
  const ended = once(stun, "exit");
  stun.kill("SIGKILL");
  await ended;
  for (const name of [server, other, router, outside]) run(`ip netns delete ${name}`);
});

async function serve(namespace: string, host: string, ...args: string[]): Promise<Appliance> {
  const appliance = await startAppliance({
    namespace,
    host,
    port: 8080,
    turnPort: 3478,
    args: [FROM, ...args],
  });
  running.push(appliance);
  return appliance;
}

/** What `chatrandom doctor` finds of its public address. */
async function examined(namespace: string, ...args: string[]): Promise<unknown> {
  const command = ["netns", "exec", namespace, EXECUTABLE, "doctor", "--json", FROM, ...args];
  // It may find other things wrong.
  const { stdout } = await promisify(execFile)("ip", command).catch((error: { stdout: string }) => error);
  const { findings } = JSON.parse(stdout) as { findings: { check: string }[] };
  return findings.find(({ check }) => check === "public address");
}

const says = (appliance: Appliance, text: RegExp) => until(() => text.test(appliance.log()), 20);

/** Runs a module with Node in a namespace. It has these, as they are here, and answers by `tell`. */
async function inside<T>(namespace: string, source: string, ...args: string[]): Promise<T> {
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const module = `
    import { createSocket } from "node:dgram";
    const { Visitor } = await import(${url("visitor.ts")});
    const { openTurnClient } = await import(${url("../relay/turn-client.ts")});
    const { realClock: clock } = await import(${url("../clock.ts")});
    const tell = (what) => console.log(JSON.stringify(what));
    ${source}`;
  const node = [process.execPath, "--input-type=module", "-e", module, ...args];
  const { stdout } = await promisify(execFile)("ip", ["netns", "exec", namespace, ...node]);
  return JSON.parse(stdout) as T;
}

/** The relay that a visitor is offered who opens the page at `host`. */
const offered = (namespace: string, host: string) =>
  inside<IceServer & { urls: string[] }>(
    namespace,
    `
    const visitor = await Visitor.connect("wss://${host}:8080/ws", { rejectUnauthorized: false });
    const { iceServers } = await visitor.hello();
    visitor.socket.close();
    tell(iceServers.find(({ username }) => username));`,
  );

/** Where the relay at `host` relays for a visitor, and what comes through there of what is sent to it. */
const relayed = (namespace: string, host: string, { username, credential }: IceServer) =>
  inside<{ address: string; heard: string }>(
    namespace,
    `
    const place = { kind: "turn", host: "${host}", port: 3478, transport: "udp" };
    const client = await openTurnClient(place, { clock, timeout: 5_000 });
    const allocation = await client.allocate({ username: "${username}", credential: "${credential}" });
    await allocation.permit(allocation.mapped);
    const heard = new Promise((resolve) => (allocation.onData = (_, data) => resolve(String(data))));
    const { address, port } = allocation.relayed;
    const peer = createSocket("udp4");
    const sending = setInterval(() => peer.send("hello", port, address), 20);
    tell({ address, heard: await heard });
    clearInterval(sending);
    peer.close();
    await allocation.release();
    client.close();`,
  );

test("a relay behind a NAT that leads to it finds its public address, and is reached there", async () => {
  const found = await serve(server, PUBLIC, "--workers=2");
  await says(found, /"at":\["9\.9\.9\.1"\],"msg":"the relay has other addresses now[^]*the relay is up/);
  expect(found.log()).toMatch(/"seen":"9\.9\.9\.1".*"the public address of the relay is found"/);
  // Who comes from elsewhere is given the name by which they came.
  const { urls } = await offered(server, "127.0.0.1");
  expect(urls[0]).toBe(`turn:${PUBLIC}:3478?transport=udp`);
  const credentials = await offered(outside, PUBLIC);
  expect(await relayed(outside, PUBLIC, credentials)).toEqual({ address: PUBLIC, heard: "hello" });
  expect(await examined(server, `--data-dir=${found.dataDir}`)).toMatchObject({ level: "fine" });
});

test("one to whom the router leads nothing says so, and stays as it was", async () => {
  const left = await serve(other, OTHER);
  await says(left, /"seen":"9\.9\.9\.1".*"reason":"nothing listens there".*set turn\.public_address/);
  expect(left.log()).not.toContain("other addresses");
  const { urls } = await offered(other, "127.0.0.1");
  expect(urls[0]).toBe(`turn:${OTHER}:3478?transport=udp`);
  expect(await examined(other, `--data-dir=${left.dataDir}`)).toMatchObject({
    level: "warning",
    text: expect.stringContaining(`we are seen from ${PUBLIC}, a router`),
  });
});
