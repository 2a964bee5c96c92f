/** What a backend that ended said last, as a sentence for whoever uses the app. */

const EXCEPTION = /^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)): ?(.*)$/;
/** Sentences of this program's own: they say already what to do. */
const OWN_WORDS = /^opd: (.+)$/;

interface Known {
  readonly says: RegExp;
  readonly sentence: (found: RegExpExecArray) => string;
}

const KNOWN: readonly Known[] = [
  {
    says: /No module named '([^']+)'/,
    sentence: ([, name]) =>
      `The Python of this app lacks the package ${name}. Install the app again.`,
  },
  {
    says: /Library not loaded|image not found|incompatible architecture|mach-o/i,
    sentence: () =>
      "A library of this app does not fit this Mac. Install the app again, for Apple silicon and this macOS.",
  },
  {
    says: /No space left on device/,
    sentence: () => "The disk is full. Free some space, then restart.",
  },
  {
    says: /Permission denied: '?([^']+?)'?$/,
    sentence: ([, path]) => `It may not read or write ${path}. Give yourself the right to.`,
  },
  {
    says: /Address already in use/,
    sentence: () => "Another program holds its port. Restart: it then takes another one.",
  },
  {
    says: /database is locked/,
    sentence: () => "Another program holds its workspace. Close it, then restart.",
  },
];

/** Says in words why a backend ended, by its output; null where it said nothing of it. */
export function lastWords(log: readonly string[]): string | null {
  for (const line of [...log].reverse()) {
    const own = OWN_WORDS.exec(line.trim());
    if (own?.[1]) {
      return own[1];
    }
    const exception = EXCEPTION.exec(line.trim());
    if (exception) {
      return inWords(exception[1] ?? "", exception[2] ?? "");
    }
  }
  return null;
}

function inWords(kind: string, message: string): string {
  for (const { says, sentence } of KNOWN) {
    const found = says.exec(message);
    if (found) {
      return sentence(found);
    }
  }
  const said = message === "" ? kind : `${kind}: ${message}`;
  return `It ended by an error of its own (${said}). Copy the log into a report of the error.`;
}
