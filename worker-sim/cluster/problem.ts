/** What stops the launcher or a command: the message is one sentence for whoever typed the command. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly exitCode: number;

  constructor(sentence: string, exitCode = 1) {
    super(sentence);
    this.exitCode = exitCode;
  }
}

/** A wrong command or flag: the usage follows the sentence, exit code 2. */
export class UsageProblem extends Problem {
  constructor(sentence: string) {
    super(sentence, 2);
  }
}
