import { create } from "zustand";

interface ChosenRanks {
  /** Processes on this machine. */
  ranks: number;
  /** Path of a file of hosts; empty for none. */
  hosts: string;
  /** The hosts that the user said yes to, by name and in order. */
  confirmed: readonly string[];
  choose: (change: Partial<Pick<ChosenRanks, "ranks" | "hosts" | "confirmed">>) => void;
}

/** Where the next run's processes work: for this run alone, so nothing of it is kept. */
export const useChosenRanks = create<ChosenRanks>((set) => ({
  ranks: 1,
  hosts: "",
  confirmed: [],
  // Another file is another question.
  choose: (change) =>
    set("hosts" in change && !("confirmed" in change) ? { ...change, confirmed: [] } : change),
}));

/** What a request says of it. */
export function askedRanks({ ranks, hosts, confirmed }: Omit<ChosenRanks, "choose">) {
  const file = hosts.trim();
  return file === ""
    ? { ranks, hosts: null, confirm_hosts: [] }
    : { ranks: 1, hosts: file, confirm_hosts: [...confirmed] };
}

/** Whether a file of hosts is named whose hosts are not confirmed. */
export function waitsForHosts({ hosts, confirmed }: Pick<ChosenRanks, "hosts" | "confirmed">) {
  return hosts.trim() !== "" && confirmed.length === 0;
}
