import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bundleLibrary } from "./libraries.ts";
import { bundleServer, checkAddonLoader } from "./server.ts";
import { root } from "./step.ts";

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "chatrandom-bundle-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("in the bundle, zeromq's addon comes from our loader, and Lua is text", async () => {
  const out = join(folder, "out.cjs");
  const { inputs } = await bundleServer(join(root, "src/links/zmq-link.ts"), out);
  expect(Object.keys(inputs)).toContain("src/links/zeromq-addon.ts");
  expect(Object.keys(inputs).filter((file) => /cmake-ts|load-addon/.test(file))).toEqual([]);
  expect(readFileSync(out, "utf8")).not.toContain("import.meta");
});

test("a library that few runs need is not in the bundle", async () => {
  const out = join(folder, "out.cjs");
  const { inputs } = await bundleServer(join(root, "src/tls/self-signed.ts"), out);
  expect(Object.keys(inputs).filter((file) => file.includes("peculiar"))).toEqual([
    "on-demand:@peculiar/x509",
  ]);
});

test.each([
  ["@peculiar/x509", "X509CertificateGenerator"],
  ["acme-client", "Client"],
])("%s is a file that needs nothing but Node", async (name, what) => {
  const code = new TextDecoder().decode(await bundleLibrary(name));
  const module = { exports: {} as Record<string, unknown> };
  compileFunction(code, ["module", "exports", "require"])(module, module.exports, (id: string) =>
    process.getBuiltinModule(id),
  );
  expect(module.exports[what]).toBeTypeOf("function");
});

test("a build whose zeromq still has its own loader fails", () => {
  const imports = [{ path: "node_modules/zeromq/lib/load-addon.js", kind: "require-call" as const }];
  const inputs = { "node_modules/zeromq/lib/native.js": { bytes: 1, imports } };
  expect(() => checkAddonLoader({ inputs })).toThrow("zeromq's loader was not replaced");
  expect(() => checkAddonLoader({ inputs: {} })).not.toThrow();
});

test("modules that others do without fail at once, so that nothing warns inside the executable", async () => {
  const entry = join(folder, "entry.js");
  const out = join(folder, "out.cjs");
  writeFileSync(entry, `try { require("supports-color"); } catch (error) { console.log(error.message); }`);
  await bundleServer(entry, out);
  expect(readFileSync(out, "utf8")).toContain("supports-color is not part of this program");
});
