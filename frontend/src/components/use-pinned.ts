import { useState } from "react";

/** The first value that was known: what comes later takes no form out of the user's hands. */
export function usePinned<Value>(value: Value | undefined): Value | undefined {
  const [pinned, setPinned] = useState(value);
  if (pinned === undefined && value !== undefined) {
    setPinned(value);
  }
  return pinned ?? value;
}
