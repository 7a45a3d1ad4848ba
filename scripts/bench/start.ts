/**
 * How the appliance starts, and what it takes at rest: from exec to `/readyz` 200, its Redis included; the CPU of the
 * main thread until then; the private memory of all its processes after some quiet seconds; and from `npm start`, with
 * nothing to build, to listening. `npm run bench:start [N] [EXECUTABLE…]`: several executables take turns.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { root } from "../build/step.ts";

const REST_MS = 10_000;
const NPM_STARTS = 5;
const PATIENCE_MS = 60_000;

const [count = "20", ...named] = process.argv.slice(2);
const starts = Number(count);
if (!Number.isInteger(starts) || starts < 1) {
  console.log("npm run bench:start -- [N] [EXECUTABLE…]\n  N  how often each is started, 20 unless given");
  process.exit(count === "--help" ? 0 : 2);
}
const executables = named.length > 0 ? named.map((name) => resolve(name)) : [join(root, "dist/chatrandom")];

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const isReady = (port: number): Promise<boolean> =>
  new Promise((answer) => {
    const asking = get({ host: "127.0.0.1", port, path: "/readyz", agent: false }, (response) => {
      response.resume();
      answer(response.statusCode === 200);
    });
    asking.on("error", () => answer(false));
  });

/** The process and all that came from it, by their parents. */
function processesOf(pid: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // After the name, which may hold anything, come the state and the parent.
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2])] as const];
      } catch {
        return []; // it has just ended
      }
    });
  const found = [pid];
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
  return found;
}

const kilobytes = (pid: number, field: string): number =>
  Number(
    new RegExp(`^${field}: +(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1],
  );

interface Started {
  child: ChildProcess;
  /** Milliseconds from before the exec to the first 200. */
  wall: number;
}

/** Starts a command that serves on `port`, and waits until it says that it can. */
async function start(command: string, args: string[], port: number): Promise<Started> {
  const begun = performance.now();
  const child = spawn(command, [...args, `--port=${port}`], { cwd: root, stdio: "ignore" });
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}`);
    if (performance.now() - begun > PATIENCE_MS) throw new Error(`${command} does not get ready`);
    await pause(1);
  }
  return { child, wall: performance.now() - begun };
}

async function stop({ child }: Started): Promise<void> {
  if (child.exitCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
}

const folder = mkdtempSync(join(tmpdir(), "chatrandom-start-"));
try {
  const runs = executables.map((executable, n) => {
    const args = [
      "serve",
      `--data-dir=${join(folder, String(n))}`,
      "--log-level=warn",
      "--turn-public-address-from=",
    ];
    return { executable, args, walls: [] as number[], cpus: [] as number[], first: 0 };
  });
  for (const run of runs) {
    // The first one puts its programs and its certificate into the data directory.
    const started = await start(run.executable, run.args, await freePort());
    run.first = started.wall;
    await stop(started);
  }
  for (let n = 0; n < starts; n += 1) {
    for (const run of runs) {
      const started = await start(run.executable, run.args, await freePort());
      const { pid } = started.child;
      run.walls.push(started.wall);
      run.cpus.push(Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1e6);
      await stop(started);
    }
  }
  for (const { executable, args, walls, cpus, first } of runs) {
    console.log(`${executable}: exec to /readyz 200, ${starts} times`);
    console.log(
      `  median ${median(walls).toFixed(0)} ms, fastest ${Math.min(...walls).toFixed(0)}, slowest ` +
        `${Math.max(...walls).toFixed(0)}; on an empty data directory ${first.toFixed(0)}`,
    );
    console.log(`  CPU of the main thread until then: median ${median(cpus).toFixed(0)} ms`);

    const started = await start(executable, args, await freePort());
    await pause(REST_MS);
    let [dirty, clean] = [0, 0];
    for (const pid of processesOf(started.child.pid!)) {
      const name = readFileSync(`/proc/${pid}/comm`, "utf8").trim();
      const [own, file] = [kilobytes(pid, "Private_Dirty") / 1024, kilobytes(pid, "Private_Clean") / 1024];
      console.log(`  ${name}: private dirty ${own.toFixed(1)} MB, private clean ${file.toFixed(1)} MB`);
      dirty += own;
      clean += file;
    }
    console.log(
      `  after ${REST_MS / 1000} s at rest, all processes: private dirty ${dirty.toFixed(1)} MB (its own), ` +
        `private clean ${clean.toFixed(1)} MB (pages of files, given back when memory is short)`,
    );
    await stop(started);
  }

  const npm: number[] = [];
  const args = ["start", "--", `--data-dir=${join(folder, "npm")}`, "--log-level=warn"];
  // The first one may have something to build.
  for (let n = 0; n <= NPM_STARTS; n += 1) {
    const started = await start("npm", args, await freePort());
    if (n > 0) npm.push(started.wall);
    await stop(started);
  }
  console.log(
    `npm start with nothing to build, to listening, ${NPM_STARTS} times: median ${median(npm).toFixed(0)} ms, ` +
      `slowest ${Math.max(...npm).toFixed(0)}`,
  );
  console.log(
    `load of the machine in the last minute: ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores; ` +
      "on a busy one only the CPU and the fastest start count",
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
