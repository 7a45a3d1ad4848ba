import { shell } from "./cli/caller.ts";
import { runCommandLine } from "./cli/command-line.ts";

const args = process.argv.slice(2);
void runCommandLine(args, shell(args)).then((code) => {
  // What a slow reader of the pipe has not taken yet would be lost. What cannot be written ends the process elsewhere.
  process.stdout.write("", (error) => {
    if (!error) process.exit(code);
  });
});
