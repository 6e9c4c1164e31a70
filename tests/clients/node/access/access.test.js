// Who may do what: what an EventStoreDB 24.10 answered, and what the embedded store answers. Run by scripts/test-clients.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { Server } from "../server.js";
import { askOfAccess, askOfAnonymous, callersOf } from "./asking.js";
import { differences } from "./differences.js";

const USERS = [
  { name: "admin", password: "changeit", groups: ["$admins"] },
  { name: "ops", password: "changeit", groups: ["$ops"] },
  { name: "ann", password: "pw" },
  { name: "bob", password: "pw", groups: ["team", "x"] },
];

async function recorded(file) {
  const lines = await readFile(new URL(file, import.meta.url), "utf8");
  const answers = lines.trim().split("\n").map((line) => JSON.parse(line));
  return new Map(answers.map(({ k, v }) => [k, v]));
}

async function asked(ask, flags = []) {
  const server = await Server.start(flags, USERS);
  after(() => server.discard());
  const callers = callersOf(server.address);
  try {
    return await ask(callers);
  } finally {
    for (const caller of Object.values(callers)) caller.close();
  }
}

describe("access", () => {
  test("every answer is the recorded one, or differs for a reason that is named", async () => {
    const [theirs, ours] = [await recorded("answers.jsonl"), await asked(askOfAccess)];
    const differing = [...theirs.keys()].filter((key) => !isDeepStrictEqual(ours.get(key), theirs.get(key)));
    const reasons = differing.filter((key) => differences.some(({ keys }) => keys.test(key)));
    const unexplained = differing.filter((key) => !reasons.includes(key));
    assert.deepEqual(unexplained.map((key) => [key, ours.get(key), theirs.get(key)]), []);
    const stale = differences.filter(({ keys }) => !differing.some((key) => keys.test(key)));
    assert.deepEqual(stale, [], "what is named differs");
  });

  for (const [name, file, flags] of [
    ["by default", "anonymous.jsonl", []],
    ["if that is allowed", "anonymous-allowed.jsonl", ["--allow-anonymous-stream-access"]],
  ]) {
    test(`without a user, ${name}`, async () => {
      assert.deepEqual(await asked(askOfAnonymous, flags), await recorded(file));
    });
  }
});
