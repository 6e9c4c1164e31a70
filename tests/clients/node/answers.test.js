// The embedded store is asked what a real EventStoreDB 24.10 was asked, and must answer the same but for a list of known
// differences. Run by scripts/test-clients. What the server answered is in answers/recorded: question and answer in each
// line, with words in place of what differs each time. Some questions are about what comes within some time, so that each
// section takes as long as it did when the server was asked; a section that is disturbed is asked once more.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";

import { KNOWN_DIFFERENCES, NOT_COMPARED } from "./answers/known-differences.js";
import * as consumers from "./answers/consumers.js";
import * as numbers from "./answers/group-numbers.js";
import * as settings from "./answers/group-settings.js";
import * as groups from "./answers/groups.js";
import * as pages from "./answers/pages.js";
import * as parking from "./answers/parking.js";
import { Probe, differences } from "./answers/probe.js";
import { Server } from "./server.js";

const { parking: parkingAndReplaying, checkpoints, timeouts } = parking;
const { errors, listing, restart } = groups;
const { retrying, refusing, order, strangeAnswers, coming, deleting, strategies, links } = consumers;
const { oddNumbers, answeredReplays, unansweredReplays } = numbers;

const PROBES = {
  groups: {
    sections: {
      ...{ errors, listing, restart, ...settings },
      ...{ retrying, refusing, order, strangeAnswers, coming, deleting, strategies, links },
      ...{ parkingAndReplaying, checkpoints, timeouts },
    },
  },
  "group-numbers": { sections: { oddNumbers, answeredReplays, unansweredReplays } },
  pages: {
    sections: { pages: pages.pages, methods: pages.methods, formats: pages.formats, node: pages.node },
    recordedPort: 2421,
  },
  advertised: {
    sections: { advertised: pages.advertised },
    recordedPort: 2417,
    flags: ["--advertise-host", "example.test", "--advertise-port", "4444"],
  },
};

function recorded(name) {
  const lines = readFileSync(new URL(`./answers/recorded/${name}.jsonl`, import.meta.url), "utf8").split("\n");
  const answers = lines.filter(Boolean).map((line) => JSON.parse(line));
  return new Map(answers.map(({ k, v }) => [k, v]));
}

/** The answers to the questions of a section, from a store of its own. */
async function ask(section, { recordedPort, flags }) {
  const server = await Server.start(flags);
  const probe = new Probe(server.address, recordedPort);
  try {
    await section(probe);
    return probe.answers;
  } finally {
    probe.close();
    await server.discard();
  }
}

for (const [name, probe] of Object.entries(PROBES)) {
  describe(`${name}: a real EventStoreDB answered the same`, { concurrency: 4 }, () => {
    const expected = recorded(name);
    const notCompared = new Set(NOT_COMPARED[name]);
    const asked = new Set();
    const held = new Set();

    /** The differences that are not known. */
    function unknown(answers) {
      const found = [];
      for (const [question, ours] of answers) {
        asked.add(question);
        if (notCompared.has(question)) continue;
        for (const difference of differences(expected.get(question), ours)) {
          const isKnown = ({ questions, path }) => questions.test(question) && (path?.test(difference.path) ?? true);
          const known = KNOWN_DIFFERENCES[name].find(isKnown);
          if (known) held.add(known);
          else found.push({ question, ...difference });
        }
      }
      return found;
    }

    for (const [title, section] of Object.entries(probe.sections)) {
      test(title, async () => {
        const first = unknown(await ask(section, probe));
        if (first.length === 0) return;
        const again = unknown(await ask(section, probe));
        const isThere = ({ question, path }) => again.some((other) => other.question === question && other.path === path);
        assert.deepEqual(first.filter(isThere), []);
      });
    }

    // Each question was asked, and each known difference is one.
    after(() => {
      const notAsked = [...expected.keys()].filter((question) => !asked.has(question) && !notCompared.has(question));
      assert.deepEqual(notAsked, []);
      const gone = KNOWN_DIFFERENCES[name].filter((known) => !held.has(known) && !known.sometimes);
      assert.deepEqual(gone.map(({ questions, path }) => `${questions} ${path ?? ""}`), []);
    });
  });
}
