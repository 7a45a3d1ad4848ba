import { shell } from "./cli/caller.ts";
import { runCommandLine } from "./cli/command-line.ts";

const args = process.argv.slice(2);
void runCommandLine(args, shell(args)).then((code) => process.exit(code));
