import { expect, test } from "vitest";
import { loadConfig } from "../config/load.ts";
import { greeting, type Interfaces, waysToOpen } from "./greeting.ts";

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

test.each([
  ["::", ["http://localhost:8080", "http://192.168.1.20:8080"]],
  ["0.0.0.0", ["http://localhost:8080", "http://192.168.1.20:8080"]],
  ["127.0.0.1", ["http://localhost:8080"]],
  ["::1", ["http://localhost:8080"]],
  ["192.168.1.20", ["http://192.168.1.20:8080"]],
  ["2001:db8::20", ["http://[2001:db8::20]:8080"]],
])("listening on %s, the page is at %j", (host, urls) =>
  expect(waysToOpen(host, 8080, machine)).toEqual(urls),
);

test("a machine with IPv6 only is reached by that, and the default port is not named", () => {
  expect(waysToOpen("::", 80, { eth0: [address("2001:db8::20")] })).toEqual([
    "http://localhost",
    "http://[2001:db8::20]",
  ]);
  expect(waysToOpen("0.0.0.0", 80, { eth0: [address("2001:db8::20")] })).toEqual(["http://localhost"]);
});

test("the bridges of containers do not flood the terminal", () => {
  const bridges = Array.from({ length: 50 }, (_, i) => address(`172.17.${i}.1`));
  expect(waysToOpen("::", 8080, { docker: bridges })).toHaveLength(5);
});

const urls = ["http://localhost:8080", "http://192.168.1.20:8080"];

test("tells every way to open the page, where the camera will not work, what is on, and how to stop", () => {
  const { config } = loadConfig({ env: { HOME: "/home/anna" } });
  const text = greeting({ config, urls, file: "chatrandom.toml", colors: false });
  expect(text).toMatch(/Open +http:\/\/localhost:8080 +on this machine\n/);
  expect(text).toMatch(/http:\/\/192\.168\.1\.20:8080 .*camera.*HTTPS/);
  expect(text).toMatch(/Redis +embedded +\/home\/anna\/\.local\/share\/chatrandom\n/);
  expect(text).toMatch(/STUN, TURN +none .*ice\.urls/);
  expect(text).toMatch(/Options +chatrandom\.toml/);
  expect(text).toContain("Ctrl-C");
  expect(text).not.toContain("\u001b");
  expect(text).not.toMatch(/ \n/);
});

test("names the place and its servers, never their credential", () => {
  const env = {
    CHATRANDOM_PAGE_NAME: "Café",
    CHATRANDOM_ICE_URLS: "turn:relay.example",
    CHATRANDOM_ICE_USERNAME: "x",
    CHATRANDOM_ICE_CREDENTIAL: "hush",
  };
  const text = greeting({ config: loadConfig({ env }).config, urls, colors: true });
  expect(text).toContain("Café");
  expect(text).toContain("turn:relay.example");
  expect(text).not.toContain("hush");
});
