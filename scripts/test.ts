/**
 * Everything that has to hold before a change goes in: `npm test`. Its last line is `N passed, N failed`, which counts
 * the tests of all runs; a check that fails counts as one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./build/step.ts";
import { LIBFAKETIME } from "../src/scenarios/faults/faketime.ts";
import { requirePackages, unpackPackage } from "./native/debian.ts";

const results = join(root, ".cache/test");
let passed = 0;
let failed = 0;
/** What failed, said once more at the end: of a long run often only the end is kept. */
const failures: string[] = [];

/** Runs a script of package.json; answers whether it succeeded. */
function npmRun(script: string, args: readonly string[] = [], env: Record<string, string> = {}): boolean {
  const started = performance.now();
  console.log(`\n== ${script}`);
  const command = ["run", "--silent", script, ...(args.length > 0 ? ["--", ...args] : [])];
  const { status } = spawnSync("npm", command, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  console.log(
    `== ${script}: ${status === 0 ? "ok" : "FAILED"} (${Math.round(performance.now() - started) / 1000} s)`,
  );
  return status === 0;
}

function check(script: string): void {
  if (npmRun(script)) return;
  failed++;
  failures.push(`${script}: see above`);
}

/** What vitest's JSON reporter writes, as far as it is read here. */
interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    /** The test's file. */
    readonly name: string;
    readonly status: string;
    /** Why the file could not be run; empty where it is a hook that failed. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

function failuresOf({ testResults }: Results): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failedTests = assertionResults.filter(({ status }) => status === "failed");
    return [
      ...(status === "failed" && failedTests.length === 0 ? [`${file}\n${message || "see above"}`] : []),
      ...failedTests.map(({ fullName, failureMessages }) =>
        [`${file}: ${fullName}`, ...failureMessages].join("\n"),
      ),
    ];
  });
}

/** A run of vitest, whose tests are counted. One that breaks off without a failed test counts as one. */
function tests(script: string, only: readonly string[] = [], env?: Record<string, string>): void {
  const file = join(results, `${script}.json`);
  rmSync(file, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const ok = npmRun(script, [...reporters, ...only], env);
  let counted = 0;
  if (existsSync(file)) {
    const results = JSON.parse(readFileSync(file, "utf8")) as Results;
    passed += results.numPassedTests;
    counted = results.numFailedTests;
    failures.push(...failuresOf(results));
  }
  if (!ok && counted === 0) failures.push(`${script}: it broke off, see above`);
  failed += ok ? counted : Math.max(counted, 1);
}

function firefoxVersion(): number {
  const { stdout } = spawnSync(NEEDED["firefox-esr"], ["--version"], { encoding: "utf8" });
  return Number(/Firefox (\d+)/.exec(stdout ?? "")?.[1] ?? 0);
}

/**
 * The browsers that the tests of the page drive, what networks are made of for them, the authority that certificates are
 * got from in tests, another clock for a node, and what says whether the systemd units are right.
 */
const NEEDED = {
  chromium: "/usr/bin/chromium",
  "firefox-esr": "/usr/bin/firefox-esr",
  iproute2: "/usr/sbin/ip",
  nftables: "/usr/sbin/nft",
  procps: "/usr/sbin/sysctl",
  pebble: "/usr/bin/pebble",
  libfaketime: LIBFAKETIME,
  systemd: "/usr/bin/systemd-analyze",
};
/** Playwright drives Firefox with commands that came with 143: the long-term release before 153 does not do. */
const FIREFOX = 143;
requirePackages([
  ...Object.entries(NEEDED).flatMap(([name, path]) => (existsSync(path) ? [] : [name])),
  ...(firefoxVersion() < FIREFOX ? [`firefox-esr (>= ${FIREFOX})`] : []),
]);
mkdirSync(results, { recursive: true });

/** coturn's own client, which tests drive the relay with. The package is not installed: that would start its server. */
const client = join(results, "coturn");
if (!existsSync(join(client, "usr/bin/turnutils_uclient"))) {
  requirePackages(["libevent-dev"]);
  unpackPackage("coturn", client);
}

/** Redis itself, beside the Valkey that is built. Debian has its program in the one package and its name in the other. */
const redis = join(results, "redis");
const redisServer = join(redis, "usr/bin/redis-server");
if (!existsSync(redisServer)) {
  requirePackages(["libjemalloc2", "liblzf1"]);
  for (const name of ["redis-tools", "redis-server"]) unpackPackage(name, redis);
}

/** What makes browsers trust an authority of the tests; they come with the rest of it. */
const nss = join(results, "nss");
if (!existsSync(join(nss, "usr/bin/certutil"))) unpackPackage("libnss3-tools", nss);

if (npmRun("build")) {
  check("lint");
  check("types");
  check("generate:check");
  tests("unit");
  tests("unit", ["src/redis", "src/matching/redis-matcher.test.ts", "src/matching/liveness.test.ts"], {
    CHATRANDOM_REDIS_SERVER: redisServer,
  });
  tests("e2e");
} else {
  failed++;
  failures.push("build: see above");
}

for (const failure of failures) console.log(`\nFAILED ${failure}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
