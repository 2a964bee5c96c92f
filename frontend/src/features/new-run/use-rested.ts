import { useEffect, useState } from "react";

const REST_MS = 400;

/** A value that follows once it has not changed for a moment, so that typing asks only once. */
export function useRested<T>(value: T): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), REST_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}
