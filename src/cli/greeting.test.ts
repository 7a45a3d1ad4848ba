import { describe, expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import type { Shown } from "../tls/certificate.ts";
import { greeting, type Interfaces, type Place, type Way, waysToOpen } from "./greeting.ts";

const address = (address: string, internal = false) => {
  const family = address.includes(":") ? "IPv6" : "IPv4";
  return { address, family, internal, netmask: "", mac: "", cidr: null, scopeid: 0 } as never;
};
const machine: Interfaces = {
  lo: [address("127.0.0.1", true), address("::1", true)],
  eth0: [address("192.168.1.20"), address("fe80::1"), address("2001:db8::20")],
  broken: [address("169.254.3.4")],
  gone: undefined,
};
const urlsOf = (place: Partial<Place>) =>
  waysToOpen({ host: "::", port: 8080, domain: "", secure: true, interfaces: machine, ...place }).map(
    ({ url }) => url,
  );

describe("the ways to open the page", () => {
  test.each([
    ["::", ["http://localhost:8080", "https://192.168.1.20:8080"]],
    ["0.0.0.0", ["http://localhost:8080", "https://192.168.1.20:8080"]],
    ["127.0.0.1", ["http://localhost:8080"]],
    ["::1", ["http://localhost:8080"]],
    ["192.168.1.20", ["https://192.168.1.20:8080"]],
    ["2001:db8::20", ["https://[2001:db8::20]:8080"]],
  ])("listening on %s: %j", (host, urls) => expect(urlsOf({ host })).toEqual(urls));

  test("have no HTTPS where it is off", () => {
    expect(urlsOf({ secure: false })).toEqual(["http://localhost:8080", "http://192.168.1.20:8080"]);
  });

  test("include the domain; without HTTPS of our own a proxy has it, at its own port", () => {
    expect(urlsOf({ domain: "chat.example", port: 443 }).at(-1)).toBe("https://chat.example");
    expect(urlsOf({ domain: "chat.example", port: 8443 }).at(-1)).toBe("https://chat.example:8443");
    const proxied = { domain: "chat.example", secure: false, host: "127.0.0.1" };
    expect(urlsOf(proxied)).toEqual(["http://localhost:8080", "https://chat.example"]);
  });

  test("of a machine with IPv6 only are by that, and the default port is not named", () => {
    const interfaces = { eth0: [address("2001:db8::20")] };
    expect(urlsOf({ port: 443, interfaces })).toEqual(["http://localhost:443", "https://[2001:db8::20]"]);
    expect(urlsOf({ host: "0.0.0.0", port: 80, interfaces })).toEqual(["http://localhost"]);
  });

  test("tell a public address from one of the network", () => {
    const interfaces = { eth0: [address("10.0.0.2"), address("8.8.4.4")] };
    const from = (place: Partial<Place>) =>
      waysToOpen({ host: "::", port: 8080, domain: "", secure: true, interfaces, ...place }).map(
        ({ from }) => from,
      );
    expect(from({})).toEqual(["this machine", "your network", "everywhere"]);
    expect(from({ host: "8.8.4.4" })).toEqual(["everywhere"]);
    expect(from({ host: "chat" })).toEqual(["your network"]);
  });

  test("of a machine behind a NAT include one of its public addresses of IPv6, the oldest, which lasts", () => {
    const v6 = ["2620:fe::aaaa", "2620:fe::20", "fd00::20", "fe80::1"].map((each) => address(each));
    const interfaces = { eth0: [...v6, address("192.168.1.20")], tun0: [address("2620:ff::9")] };
    const [here, lan] = ["http://localhost:8080", "https://192.168.1.20:8080"];
    expect(urlsOf({ interfaces })).toEqual([here, lan, "https://[2620:fe::20]:8080"]);
    expect(urlsOf({ interfaces, host: "0.0.0.0" })).toEqual([here, lan]);
    const open = { ...interfaces, eth1: [address("8.8.4.4")] };
    expect(urlsOf({ interfaces: open })).toEqual([here, lan, "https://8.8.4.4:8080"]);
  });

  test("are not flooded by the bridges of containers", () => {
    const bridges = Array.from({ length: 50 }, (_, i) => address(`172.17.${i}.1`));
    expect(urlsOf({ interfaces: { docker: bridges } })).toHaveLength(5);
  });
});

const ways: Way[] = [
  { url: "http://localhost:8080", from: "this machine" },
  { url: "https://192.168.1.20:8080", from: "your network" },
];
const plainWays: Way[] = [ways[0]!, { url: "http://192.168.1.20:8080", from: "your network" }];
const selfSigned: Shown = {
  fingerprint: Array.from({ length: 32 }, (_, n) => n.toString(16).padStart(2, "0").toUpperCase()).join(":"),
  names: ["localhost"],
  until: Date.UTC(2031, 4, 6),
  selfSigned: true,
};
const real: Shown = { ...selfSigned, selfSigned: false };
const greet = (env: Record<string, string> = {}, more = {}) => {
  const { config } = loadConfig({ env: { HOME: "/home/anna", ...env } });
  return greeting({ config, ways, certificate: selfSigned, colors: false, columns: 120, ...more });
};

test("tells every way to open the page, what is on, and what to do next", () => {
  const text = greet({}, { file: "chatrandom.toml" });
  expect(text).toMatch(/Open +http:\/\/localhost:8080 +on this machine\n/);
  expect(text).toMatch(/ https:\/\/192\.168\.1\.20:8080 +in your network\n/);
  expect(text).toMatch(/Redis +embedded +\/home\/anna\/\.local\/share\/chatrandom\n/);
  expect(text).toMatch(/STUN, TURN +none .*turn\.enabled/);
  expect(text).toMatch(/Options +chatrandom\.toml/);
  expect(text).toMatch(/Next +.*Press Start/);
  expect(text).toContain("Ctrl-C");
  expect(text).not.toContain("\u001b");
  expect(text).not.toMatch(/ \n/);
});

test("leads who tries it alone to a second visitor, on a phone only where there is the code for it", () => {
  expect(greet()).toMatch(/Press Start .* private window, another browser, or by the code on a phone\.\n/);
  expect(greet()).toContain("of one browser never meet");
  const here = greet({ CHATRANDOM_HOST: "127.0.0.1" }, { certificate: undefined, ways: ways.slice(0, 1) });
  expect(here).toMatch(/Press Start .* private window or another browser\.\n/);
});

test("shows the fingerprint of a self-signed certificate, and how to do without the warning", () => {
  const text = greet();
  expect(text).toMatch(/HTTPS +self-signed +.*\/certificate/);
  expect(text).toContain("00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F  SHA-256\n");
  expect(text).toContain("10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\n");
  expect(text).toContain("--tls acme");
});

test("says of other certificates for what and until when they are", () => {
  const acme = { CHATRANDOM_TLS: "acme", CHATRANDOM_DOMAIN: "chat.example" };
  expect(greet(acme, { certificate: real })).toMatch(/HTTPS +for chat\.example +until 2031-05-06, renewed/);
  expect(greet(acme)).toMatch(/self-signed +until acme-v02\.api\.letsencrypt\.org has given/);
  const files = { CHATRANDOM_HTTPS_CERTIFICATE: "/etc/c.pem", CHATRANDOM_HTTPS_KEY: "/etc/k.pem" };
  expect(greet(files, { certificate: real })).toMatch(/HTTPS +\/etc\/c\.pem +until 2031-05-06\n/);
  expect(greet(files, { certificate: real })).not.toContain("SHA-256");
});

test("without HTTPS says where the camera will not work, and what helps", () => {
  const off = greet({ CHATRANDOM_TLS: "off" }, { certificate: undefined, ways: plainWays });
  expect(off).toMatch(/http:\/\/192\.168\.1\.20:8080 .*without camera/);
  expect(off).toMatch(/HTTPS +off\n/);
  expect(off).toContain("reverse proxy");
  const local = greet({ CHATRANDOM_HOST: "127.0.0.1" }, { certificate: undefined, ways: ways.slice(0, 1) });
  expect(local).not.toContain("without camera");
  expect(local).toContain("--host ::");
});

test("of a certificate for a name says where browsers will warn all the same, and leads the phone by the name", () => {
  const named: Way[] = [...ways, { url: "https://chat.example:8080", from: "everywhere" }];
  const acme = { CHATRANDOM_TLS: "acme", CHATRANDOM_DOMAIN: "chat.example" };
  const files = {
    CHATRANDOM_HTTPS_CERTIFICATE: "/c",
    CHATRANDOM_HTTPS_KEY: "/k",
    CHATRANDOM_DOMAIN: "chat.example",
  };
  const codeOf = (text: string) => text.split("\n").filter((line) => /[█▀▄]/.test(line));
  const alone = codeOf(greet(acme, { ways: named.toSpliced(1, 1) }));
  for (const [env, certificate] of [
    [acme, selfSigned],
    [acme, { ...real, names: ["chat.example"] }],
    [files, { ...real, names: ["*.example", "example"] }],
  ] as const) {
    const text = greet(env, { ways: named, certificate });
    expect(text).toMatch(/192\.168\.1\.20:8080 +in your network, with a warning\n/);
    expect(text).toMatch(/chat\.example:8080 +from everywhere\n/);
    expect(codeOf(text)).toEqual(alone);
  }
  // A self-signed one has a warning everywhere, and the network is where it is sure to be reached.
  expect(codeOf(greet({ CHATRANDOM_DOMAIN: "chat.example" }, { ways: named }))).not.toEqual(alone);
});

test.each([
  [{}, selfSigned, "--domain NAME --tls acme, where ports 80 and 443 of the name lead here"],
  [
    { DOMAIN: "chat.example" },
    selfSigned,
    "warning: --tls acme, where ports 80 and 443 of chat.example lead",
  ],
  [{ DOMAIN: "chat.example", TLS: "acme" }, selfSigned, "when port 80 or 443 of chat.example leads here"],
  [
    { DOMAIN: "chat.example", TLS: "acme", ACME_CHALLENGE: "tls-alpn-01" },
    selfSigned,
    "when port 443 of chat.example leads here",
  ],
  [{ DOMAIN: "chat.example", TLS: "acme" }, real, "chatrandom doctor"],
  [
    { HTTPS_CERTIFICATE: "/c", HTTPS_KEY: "/k" },
    { ...real, names: ["chat.example"] },
    "such as --domain chat.example.",
  ],
])("with %j the next step is right", (env, certificate, advice) => {
  const named = Object.entries(env).map(([key, value]) => [`CHATRANDOM_${key}`, value]);
  expect(greet(Object.fromEntries(named) as Record<string, string>, { certificate })).toContain(advice);
});

test("breaks long lines between words, so that a narrow terminal does not break them anywhere", () => {
  const relay = { hosts: ["192.168.1.20"], port: 3478, reach: "private" } as const;
  const text = greet({}, { relay, columns: 64 });
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(64);
  expect(text.replaceAll(/\s+/g, " ")).toBe(greet({}, { relay, columns: 200 }).replaceAll(/\s+/g, " "));
});

describe("the QR code", () => {
  const isDrawn = (text: string) => /[█▀▄]{10}/.test(text);

  test("is there for a phone in the network, dark on light whatever the terminal's colours", () => {
    expect(isDrawn(greet())).toBe(true);
    const code = greet({}, { colors: true })
      .split("\n")
      .filter((line) => /[█▀▄]/.test(line));
    expect(code.every((line) => line.includes("\u001b[97;40m") && line.endsWith("\u001b[0m"))).toBe(true);
  });

  test("is not there when the camera would not work, when there is only this machine, or no room", () => {
    expect(isDrawn(greet({}, { ways: plainWays, certificate: undefined }))).toBe(false);
    expect(isDrawn(greet({}, { ways: ways.slice(0, 1) }))).toBe(false);
    expect(isDrawn(greet({}, { columns: 40 }))).toBe(false);
  });
});

test("names the place and its servers, never their credential", () => {
  const text = greet(
    {
      CHATRANDOM_PAGE_NAME: "Café",
      CHATRANDOM_ICE_URLS: "turn:relay.example",
      CHATRANDOM_ICE_USERNAME: "x",
      CHATRANDOM_ICE_CREDENTIAL: "hush",
    },
    { colors: true, redis: "redis://10.0.0.1:6379" },
  );
  expect(text).toContain("Café");
  expect(text).toContain("turn:relay.example");
  expect(text).toContain("redis://10.0.0.1:6379");
  expect(text).not.toContain("hush");
});

describe("tells where the relay is", () => {
  const relay = { hosts: ["192.168.1.20"], port: 3478, reach: "private" } as const;

  test("and what calls to other networks need", () => {
    const text = greet({}, { relay });
    expect(text).toMatch(/STUN, TURN +192\.168\.1\.20 port 3478 +in your network\n/);
    expect(text).toContain("for calls to other networks: forward UDP and TCP 3478, UDP 49152-65535\n");
    expect(greet({ CHATRANDOM_TURN_PUBLIC_ADDRESS_FROM: "" }, { relay })).toContain(
      "forward UDP and TCP 3478, UDP 49152-65535 and set turn.public_address",
    );
  });

  test("and from where it is reached", () => {
    expect(greet({}, { relay: { ...relay, hosts: ["8.8.4.4"], reach: "public" } })).toMatch(
      /8\.8\.4\.4 port 3478 +from everywhere\n/,
    );
    expect(greet({}, { relay: { ...relay, hosts: ["10.1.2.3"], reach: "public" } })).toMatch(
      /10\.1\.2\.3 port 3478 +in your network\n +lets calls through firewalls/,
    );
    expect(greet({}, { relay: { ...relay, hosts: ["127.0.0.1"], reach: "this machine" } })).toMatch(
      /on this machine\n +for others: turn\.host/,
    );
  });

  test("or that there are others in its place", () => {
    const text = greet({ CHATRANDOM_TURN_URLS: "turn:relay.example", CHATRANDOM_TURN_SECRET: "hush" });
    expect(text).toMatch(/STUN, TURN +turn:relay\.example\n/);
    expect(text).not.toContain("hush");
  });
});
