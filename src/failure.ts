/**
 * A failure that was expected: the port is taken, a directory cannot be written, an option is wrong. The message is
 * for people: what is wrong and what to do, without a stack trace, a secret or a visitor's address. The command line
 * prints it and exits with `exitCode`: 1 failed while running, 2 wrong use or configuration.
 */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
