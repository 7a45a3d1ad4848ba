/**
 * What `npm start`, `npm test` and `npm run build` call. Plain JavaScript for Node 20 and newer, because it runs before
 * anything is installed: it installs what the lock file says, then hands over to the Node that the lock file brings.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, "node_modules/.bin/node");

const packagesOf = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages;

/**
 * Whether what is installed is what the lock file says. npm writes its own record at the end of an installation, so an
 * interrupted one has none. Packages for other platforms are optional and not installed.
 */
function isInstalled() {
  if (!existsSync(node) || !existsSync(join(root, "node_modules/.package-lock.json"))) return false;
  const installed = packagesOf("node_modules/.package-lock.json");
  return Object.entries(packagesOf("package-lock.json")).every(([path, { version, integrity, optional }]) => {
    const found = installed[path];
    if (path === "" || (optional && !found)) return true;
    return found?.version === version && found.integrity === integrity;
  });
}

/** Runs a command to its end; answers with its exit code. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) console.error(error.message);
  return status ?? 1;
}

function orEnd(status) {
  if (status !== 0) process.exit(status);
}

function npm(...args) {
  const cli = process.env.npm_execpath;
  return cli ? run(process.execPath, [cli, ...args]) : run("npm", args);
}

function install() {
  if (isInstalled()) return;
  console.log("installing what package-lock.json names");
  // Its warnings are about the Node that runs it, which is not the one that runs the tests and what is built.
  if (npm("ci", "--loglevel=error") === 0) return;
  // It refuses a lock file that was written where packages for other platforms could not be had. This does not.
  console.log("npm ci failed; trying npm install");
  orEnd(npm("install", "--no-save"));
}

/** Two signals closer than this are one press of Ctrl-C, which reaches us from the terminal and again from npm. */
const SAME_PRESS_MS = 300;

/** Runs a command in place of this process, as near as Node 20 can: its signals, its exit code. */
function become(command, args) {
  // In a process group of its own: it hears a Ctrl-C from us, once, and not from the terminal as well.
  const child = spawn(command, args, { stdio: "inherit", detached: true });
  let last = -Infinity;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (performance.now() - last > SAME_PRESS_MS) child.kill(signal);
      last = performance.now();
    });
  }
  child.on("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else process.exit(code);
  });
}

const [command, ...args] = process.argv.slice(2);
install();
if (command === "start") {
  orEnd(run(node, [join(root, "scripts/build.ts")]));
  become(join(root, "dist/chatrandom"), ["serve", ...args]);
} else {
  process.env.PATH = `${dirname(node)}:${process.env.PATH}`;
  process.exit(run(node, [join(root, `scripts/${command}.ts`), ...args]));
}
