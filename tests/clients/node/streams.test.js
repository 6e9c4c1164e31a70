// What a real server answered to recorded runs, asked again of the embedded store. Run by scripts/test-clients.
//
// streams/runs/N.operations.jsonl.br is what was asked, N.answers.jsonl.br what the server (24.10) said. Where ours may
// differ, and why, is in streams/differences.js. To see each difference of a run with its reason:
//     EMPORIUM=../../../target/debug/emporium node streams.test.js 103

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";

import { Server } from "./server.js";
import { compare } from "./streams/compare.js";
import { Runner } from "./streams/runner.js";

/** Runs side by side. They mostly wait for subscriptions to be quiet. */
const AT_ONCE = 4;

const folder = new URL("streams/runs/", import.meta.url);
const wanted = process.argv.slice(2);
const runs = readdirSync(folder)
  .map((file) => Number.parseInt(file, 10))
  .filter((run, n, all) => all.indexOf(run) === n && (wanted.length === 0 || wanted.includes(String(run))))
  .sort((a, b) => a - b);

function lines(file) {
  const text = brotliDecompressSync(readFileSync(new URL(file, folder))).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

async function differences(run) {
  const operations = lines(`${run}.operations.jsonl.br`);
  const server = await Server.start();
  const runner = new Runner(server.address, `p${run}${Date.now().toString(36)}z`);
  try {
    const ours = JSON.parse(JSON.stringify(await runner.run(operations)));
    // Each recorded answer also has its operation's number.
    const theirs = lines(`${run}.answers.jsonl.br`).map(({ i: _, ...answer }) => answer);
    return compare(operations, theirs, ours);
  } finally {
    runner.close();
    await server.discard();
  }
}

/** How many differences each rule explains. */
function counted(found) {
  const counts = {};
  for (const { rule } of found) counts[rule] = (counts[rule] ?? 0) + 1;
  return Object.entries(counts)
    .map((count) => count.join(" "))
    .join(", ");
}

const shown = (value) => JSON.stringify(value).slice(0, 400);
const line = ({ n, rule, part }) =>
  `#${n} ${rule ?? "NO RULE"}: ${shown(part.operation)}\n    server: ${shown(part.theirs)}\n    ours:   ${shown(part.ours)}`;

describe("recorded runs", { concurrency: AT_ONCE }, () => {
  for (const run of runs) {
    test(`run ${run} differs only where it is meant to`, async (context) => {
      let found = await differences(run);
      // A busy machine may have disturbed it.
      if (found.some(({ rule }) => rule === undefined)) found = await differences(run);
      context.diagnostic(`${found.length} differences: ${counted(found)}`);
      if (wanted.length > 0) console.log(found.map(line).join("\n"));
      assert.deepEqual(found.filter(({ rule }) => rule === undefined).map(line), []);
    });
  }
});
