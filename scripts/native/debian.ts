import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Debian packages and source packages, for building the native programs.
 * Nothing here changes the machine's own apt configuration: sources are fetched through a private one.
 */

/** True when the Debian package is installed, in that version where one is named: `name` or `name (>= version)`. */
function installed(relation: string): boolean {
  const [, name = relation, atLeast] = /^(\S+) \(>= (\S+)\)$/.exec(relation) ?? [];
  try {
    const found = execFileSync("dpkg-query", ["-W", "-f=${Version} ${Status}", name], {
      encoding: "utf8",
      stdio: "pipe",
    });
    return found.endsWith(" installed") && (!atLeast || !newer(atLeast, found.slice(0, found.indexOf(" "))));
  } catch {
    return false;
  }
}

/**
 * Makes sure that Debian packages are installed; as root it installs what is missing or too old.
 * @param relations - Names, or what Debian writes of a dependency on a version: `name (>= version)`.
 * @throws Error whose message holds the command to run, when they cannot be installed from here.
 */
export function requirePackages(relations: readonly string[]): void {
  const missing = relations.filter((relation) => !installed(relation));
  if (missing.length === 0) return;
  const command = `apt-get satisfy --no-install-recommends "${missing.join(", ")}"`;
  if (!existsSync("/usr/bin/apt-get") || process.getuid?.() !== 0) {
    throw new Error(`these packages are missing, install them with: sudo ${command}`);
  }
  const options = { stdio: ["ignore", "ignore", "inherit"] as ["ignore", "ignore", "inherit"] };
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = () =>
    execFileSync("apt-get", ["satisfy", "-y", "-qq", "--no-install-recommends", missing.join(", ")], {
      ...options,
      env: environment,
    });
  try {
    install();
  } catch {
    execFileSync("apt-get", ["update", "-qq"], options);
    install();
  }
}

/**
 * Unpacks a Debian package into a folder, which is made, without installing it.
 * @throws Error when it cannot be fetched.
 */
export function unpackPackage(name: string, folder: string): void {
  const root = mkdtempSync(join(tmpdir(), "chatrandom-package-"));
  const download = () => execFileSync("apt-get", ["download", "-qq", name], { cwd: root, stdio: "pipe" });
  try {
    try {
      download();
    } catch {
      execFileSync("apt-get", ["update", "-qq"], { stdio: ["ignore", "ignore", "inherit"] });
      download();
    }
    const [file] = readdirSync(root).filter((file) => file.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get has downloaded nothing for ${name}`);
    mkdirSync(folder, { recursive: true });
    execFileSync("dpkg", ["-x", join(root, file), folder], { stdio: "pipe" });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** One archive that the machine's apt knows. */
interface Archive {
  uri: string;
  suites: string[];
  components: string[];
  signedBy?: string;
}

/** Reads both spellings of apt's sources: `deb …` lines and deb822 paragraphs. */
export function parseSources(text: string): Archive[] {
  const archives: Archive[] = [];
  for (const line of text.split("\n")) {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line.trim());
    if (!match) continue;
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const signedBy = /signed-by=(\S+)/.exec(options)?.[1];
    archives.push({ uri, suites: [suite], components: components.trim().split(/\s+/), signedBy });
  }
  for (const paragraph of text.split(/\n\s*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:\\s*(\\S.*)$`, "mi").exec(paragraph)?.[1]?.trim();
    if (!/(^|\s)deb(\s|$)/.test(field("Types") ?? "") || field("Enabled") === "no") continue;
    const suites = field("Suites")?.split(/\s+/) ?? [];
    const components = field("Components")?.split(/\s+/) ?? [];
    for (const uri of field("URIs")?.split(/\s+/) ?? []) {
      archives.push({ uri, suites, components, signedBy: field("Signed-By") });
    }
  }
  return archives;
}

/** Releases of Debian that are older than the one that has what we build. */
const OLDER = /^(buster|bullseye|bookworm)\b/;
const RELEASE = "trixie";

/** The machine's own archives, as sources: an older Debian looks into the release that has what we build. */
export function sourceArchives(texts: readonly string[]): Archive[] {
  return texts
    .flatMap(parseSources)
    .filter(({ uri }) => /\/(debian|debian-security|ubuntu)\/?$/.test(uri))
    .map((archive) => ({ ...archive, suites: archive.suites.map((suite) => suite.replace(OLDER, RELEASE)) }));
}

function machineSources(): string[] {
  const folder = "/etc/apt/sources.list.d";
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  return ["/etc/apt/sources.list", ...files]
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8"));
}

/** A source package, unpacked and patched. */
export interface DebianSource {
  version: string;
  /** The unpacked source. The caller removes `root` when done. */
  directory: string;
  root: string;
}

/** One file of a source package, as `apt-get source --print-uris` names it. */
interface SourceFile {
  uri: string;
  name: string;
  /** Such as `SHA256:…`, from the signed index. */
  hash: string;
}

/** Upstream's part of a source package, without what Debian adds. */
export function upstreamFile(printedUris: string): SourceFile | undefined {
  for (const [, uri, name, hash] of printedUris.matchAll(/^'([^']+)' (\S+) \d+ (\S+)$/gm)) {
    if (/\.orig\.tar\.\w+$/.test(name!)) return { uri: uri!, name: name!, hash: hash! };
  }
  return undefined;
}

/**
 * Fetches a source package, checked by apt against the archive's signature, and unpacks it with its patches. Mirrors
 * list versions that they do not have yet, or no more, around security updates: then the next older one is taken, and
 * when none is whole, upstream's part of the newest that has it, checked the same way, without Debian's patches.
 * @throws Error when there is no archive, no such package, or no version could be fetched.
 */
export function fetchSource(name: string): DebianSource {
  const archives = sourceArchives(machineSources());
  if (archives.length === 0)
    throw new Error("this machine has no Debian archive configured to take sources from");
  const root = mkdtempSync(join(tmpdir(), "chatrandom-source-"));
  for (const folder of ["state/lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  const list = join(root, "private.sources");
  writeFileSync(
    list,
    archives
      .map(({ uri, suites, components, signedBy }) =>
        [
          "Types: deb-src",
          `URIs: ${uri}`,
          `Suites: ${suites.join(" ")}`,
          `Components: ${components.join(" ")}`,
          ...(signedBy ? [`Signed-By: ${signedBy}`] : []),
        ].join("\n"),
      )
      .join("\n\n") + "\n",
  );
  const settings = [
    `Dir::State=${root}/state`,
    `Dir::Cache=${root}/cache`,
    `Dir::Etc::SourceList=${list}`,
    "Dir::Etc::SourceParts=-",
    "APT::Sandbox::User=root",
    "Debug::NoLocking=1",
    "Acquire::Languages=none",
  ].flatMap((setting) => ["-o", setting]);
  const inFolder = (cwd: string, command: string, ...args: string[]) =>
    execFileSync(command, [...settings, ...args], {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  const apt = (command: string, ...args: string[]) => inFolder(root, command, ...args);
  const unpacked = (version: string): DebianSource | undefined => {
    const directory = readdirSync(root, { withFileTypes: true }).find(
      (entry) => entry.isDirectory() && entry.name.startsWith(`${name}-`),
    );
    return directory && { version, directory: join(root, directory.name), root };
  };
  apt("apt-get", "update", "-qq");
  const versions = [
    ...new Set([...apt("apt-cache", "showsrc", name).matchAll(/^Version: (\S+)$/gm)].map((m) => m[1]!)),
  ];
  versions.sort((a, b) => (a === b ? 0 : newer(a, b) ? -1 : 1));
  for (const version of versions) {
    try {
      apt("apt-get", "source", "-qq", `${name}=${version}`);
    } catch {
      console.warn(`  ${name} ${version} is listed but could not be fetched whole`);
      continue;
    }
    const source = unpacked(version);
    if (source) return source;
  }
  // Empty, because apt names only the files that are not there.
  const empty = join(root, "upstream");
  mkdirSync(empty);
  for (const version of versions) {
    try {
      const file = upstreamFile(
        inFolder(empty, "apt-get", "source", "--print-uris", "-qq", `${name}=${version}`),
      );
      if (!file) continue;
      inFolder(
        empty,
        "/usr/lib/apt/apt-helper",
        "download-file",
        file.uri,
        join(empty, file.name),
        file.hash,
      );
      execFileSync("tar", ["--extract", "--file", join(empty, file.name), "--directory", root]);
    } catch {
      continue;
    }
    const source = unpacked(`${version}, upstream's part alone`);
    if (!source) continue;
    console.warn(
      `  taking upstream's part of it, without Debian's fixes: delete .cache/native and build again in a few days`,
    );
    return source;
  }
  throw new Error(`no version of the source of ${name} could be fetched`);
}

function newer(a: string, b: string): boolean {
  try {
    execFileSync("dpkg", ["--compare-versions", a, "gt", b], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
