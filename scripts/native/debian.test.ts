import { expect, test } from "vitest";
import { sourceArchives, upstreamFile } from "./debian.ts";

test("an older Debian takes its sources from the release that has them, from its own mirror", () => {
  const deb822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;
  expect(sourceArchives([deb822])).toEqual([
    {
      uri: "http://mirror.example/debian",
      suites: ["trixie", "trixie-updates"],
      components: ["main"],
      signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg",
    },
    {
      uri: "http://mirror.example/debian-security",
      suites: ["trixie-security"],
      components: ["main"],
      signedBy: undefined,
    },
  ]);
});

test("one-line sources are read too; foreign archives, disabled ones and deb-src are left alone", () => {
  const lines = `deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian/ trixie main contrib
deb-src https://mirror.example/debian/ trixie main
# deb https://mirror.example/debian sid main
deb https://vendor.example/tools stable main`;
  const disabled = `Types: deb\nURIs: http://x.example/debian\nSuites: sid\nComponents: main\nEnabled: no\n`;
  expect(sourceArchives([lines, disabled])).toEqual([
    {
      uri: "https://mirror.example/debian/",
      suites: ["trixie"],
      components: ["main", "contrib"],
      signedBy: "/k.gpg",
    },
  ]);
});

test("upstream's part of a source package is told from what Debian adds", () => {
  const printed = `'http://mirror.example/debian/pool/main/v/valkey/valkey_8.1.1%2bdfsg1-3.dsc' valkey_8.1.1+dfsg1-3.dsc 2271 SHA256:31
'http://mirror.example/debian/pool/main/v/valkey/valkey_8.1.1%2bdfsg1.orig.tar.xz' valkey_8.1.1+dfsg1.orig.tar.xz 2726128 SHA256:d3
'http://mirror.example/debian/pool/main/v/valkey/valkey_8.1.1%2bdfsg1-3.debian.tar.xz' valkey_8.1.1+dfsg1-3.debian.tar.xz 37428 SHA256:a0
`;
  expect(upstreamFile(printed)).toEqual({
    uri: "http://mirror.example/debian/pool/main/v/valkey/valkey_8.1.1%2bdfsg1.orig.tar.xz",
    name: "valkey_8.1.1+dfsg1.orig.tar.xz",
    hash: "SHA256:d3",
  });
  expect(upstreamFile("")).toBeUndefined();
});
