/** What the launcher says at the terminal: lines with the time since it began, aligned so that they can be scanned. */
export interface Terminal {
  /** One step of the way: `word` in a column of its own. */
  step(word: string, text: string): void;
  /** Free text, as it stands. */
  text(lines: string): void;
}

const WORD_WIDTH = 10;

export function createTerminal(begun: number, write: (line: string) => void = console.log): Terminal {
  return {
    step(word, text) {
      const seconds = ((Date.now() - begun) / 1000).toFixed(1).padStart(5);
      write(`${seconds}s  ${word.padEnd(WORD_WIDTH)}  ${text}`);
    },
    text: (lines) => write(lines),
  };
}
