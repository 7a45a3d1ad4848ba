import { Failure } from "../failure.ts";

/** The command line itself was wrong; the message is followed by where to read how it is right. */
export class WrongUse extends Failure {
  override readonly name: string = "WrongUse";

  constructor(message: string) {
    super(message, 2);
  }
}
