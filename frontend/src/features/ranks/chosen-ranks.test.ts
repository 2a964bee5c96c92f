import { beforeEach, expect, test } from "vitest";
import { askedRanks, useChosenRanks, waitsForHosts } from "@/features/ranks/chosen-ranks";

const chosen = () => useChosenRanks.getState();

beforeEach(() => chosen().choose({ ranks: 1, hosts: "", confirmed: [] }));

test("a run works as one process here unless something else is chosen", () => {
  expect(askedRanks(chosen())).toEqual({ ranks: 1, hosts: null, confirm_hosts: [] });
  chosen().choose({ ranks: 3 });
  expect(askedRanks(chosen())).toEqual({ ranks: 3, hosts: null, confirm_hosts: [] });
});

test("a file of hosts is sent with the hosts that were confirmed, and with no number", () => {
  chosen().choose({ ranks: 3, hosts: " /Users/me/hosts.json " });
  expect(waitsForHosts(chosen())).toBe(true);
  chosen().choose({ confirmed: ["mac2"] });
  expect(waitsForHosts(chosen())).toBe(false);
  expect(askedRanks(chosen())).toEqual({
    ranks: 1,
    hosts: "/Users/me/hosts.json",
    confirm_hosts: ["mac2"],
  });
});

test("another file takes the yes to the hosts of the one before away", () => {
  chosen().choose({ hosts: "/one.json" });
  chosen().choose({ confirmed: ["mac2"] });
  chosen().choose({ hosts: "/two.json" });
  expect(chosen().confirmed).toEqual([]);
});
