// Holds our answers to a recorded run against the server's, and names the reason of each difference.

import { DIFFERENCES } from "./differences.js";

/** The stream that an operation is about; metadata belongs to its stream. */
export function subject(stream) {
  return (stream ?? "").replace(/^(\$\$)+/, "");
}

/**
 * All differences of a run: where, by which rule (`undefined` if by none), and what.
 * Where our store keeps its own answer to a change, stream and log are in another state from then on. What is asked of
 * that stream later, or of the whole log, may differ too; the rule is then `follows`.
 */
export function compare(operations, theirs, ours) {
  const run = new Run(operations, theirs, ours);
  const found = [];
  for (const [n, operation] of operations.entries()) {
    if (theirs[n].nondeterministic) {
      run.note({ n, operation, theirs: ours[n], ours: ours[n] });
      continue;
    }
    for (const part of parts(n, operation, theirs[n], ours[n])) {
      if (!run.isAlike(part.theirs, part.ours)) found.push({ n, ...run.explain(part) });
      run.note(part);
    }
  }
  return found;
}

/** An operation's parts, each with both answers. */
function parts(n, operation, theirs, ours) {
  if (operation.op === "batch") return batchParts(n, operation, theirs, ours);
  if (operation.op !== "subs") return [{ n, operation, theirs, ours }];
  const subscriptions = operation.subs.map((asked, k) => ({
    n,
    operation: { ...asked, op: "subscription" },
    theirs: searched(theirs.subs[k]),
    ours: searched(ours.subs[k]),
  }));
  const then = (operation.then ?? []).flatMap((inner, k) => parts(`${n}-${k}`, inner, theirs.then[k], ours.then[k]));
  return [...then, ...subscriptions];
}

/** Without the checkpoints from before the run's first write: they depend on what else is in the log. */
function searched({ before, after, ...rest }) {
  const own = (messages) => messages.filter(({ ckpt }) => !ckpt || !["before", "0"].includes(ckpt[0]));
  return { before: own(before), after: own(after), ...rest };
}

function batchParts(n, operation, theirs, ours) {
  const call = ({ answers, ...rest }) => ({
    ...rest,
    counts: Object.entries(answers)
      .map(([k, items]) => [k, items.length])
      .sort(),
  });
  const found = [{ n, operation: { ...operation, op: "batch call" }, theirs: call(theirs), ours: call(ours) }];
  for (const [symbol, items] of Object.entries(ours.answers)) {
    const ofIt = operation.msgs.filter((part) => symbol.replace("~", "") === part.corr);
    const options = ofIt.find((part) => part.options)?.options ?? {};
    const item = { ...options, op: "batch item", events: ofIt.flatMap((part) => part.events ?? []), parts: ofIt };
    for (const [k, answer] of items.entries()) {
      const theirAnswer = theirs.answers[symbol]?.[k];
      if (theirAnswer)
        found.push({ n: `${n}.${symbol.replace("~", "")}`, operation: item, theirs: theirAnswer, ours: answer });
    }
  }
  return found;
}

/** What has happened in a run so far, as far as rules ask for it. */
class Run {
  /** Streams whose state is another. */
  drifted = new Set();
  /** The stream in which an id was first used. */
  firstUse = new Map();
  /** Streams whose newest metadata is no JSON in the strict sense. */
  looseMetadata = new Set();
  /** Metadata streams that were deleted. */
  deletedMetadata = new Set();
  /** Streams that are soft-deleted, and when they went on. */
  deleted = new Set();
  wentOnAt = new Map();
  /** Writes that only one of the stores acknowledged at their own place. */
  #unshared = new Set();
  /** Operations that the server answers in more than one way. */
  #unsure = new Set();

  constructor(operations, theirs, ours) {
    for (const [n, operation] of operations.entries()) {
      if (theirs[n].nondeterministic) this.#unsure.add(n);
      else
        for (const part of parts(n, operation, theirs[n], ours[n])) {
          const label = `w${part.n}`;
          const isEmpty = isChange(part.operation) && part.operation.events?.length === 0;
          const isOther =
            part.theirs.ok?.rev !== part.ours.ok?.rev || isOwn(part.theirs, label) !== isOwn(part.ours, label);
          if (isEmpty || isOther) this.#unshared.add(label);
        }
    }
  }

  explain(part) {
    const { operation } = part;
    const rule = DIFFERENCES.find((difference) => difference.explains(part, this));
    if (rule) {
      if (rule.drifts?.(part)) this.drifted.add(subject(operation.stream));
      return { rule: rule.fact, part };
    }
    const isOfTheLog = operation.all !== undefined || operation.op === "batch call" || operation.links;
    const follows = this.drifted.has(subject(operation.stream)) || (isOfTheLog && this.drifted.size > 0);
    if (follows && isChange(operation)) this.drifted.add(subject(operation.stream));
    return { rule: follows ? "follows" : undefined, part };
  }

  #isUnsure(position) {
    const label = position.slice(1);
    return this.#unshared.has(label) || this.#unsure.has(Number.parseInt(label.slice(1), 10));
  }

  /** Remembers a part that has been looked at. */
  note({ n, operation, theirs }) {
    const { op, stream } = operation;
    const isMetadata = stream?.startsWith("$$");
    if (op === "delete" && theirs.ok) (isMetadata ? this.deletedMetadata : this.deleted).add(stream);
    if (op !== "append" && op !== "batch item") return;
    for (const { id } of operation.events ?? []) if (!this.firstUse.has(id)) this.firstUse.set(id, stream);
    if (!theirs.ok) return;
    if (this.deleted.delete(stream) || (isMetadata && this.deleted.delete(subject(stream)))) {
      this.wentOnAt.set(subject(stream), Number.parseInt(n, 10));
    }
    const newest = operation.events?.at(-1);
    if (isMetadata && newest) {
      if (isStrict(newest.data)) this.looseMetadata.delete(subject(stream));
      else this.looseMetadata.add(subject(stream));
    }
  }

  /** Whether two answers are the same, but for positions that are named after a write that only one store has. */
  isAlike(theirs, ours) {
    if (typeof theirs === "string" && typeof ours === "string") {
      if (theirs === ours) return true;
      return isPosition(theirs) && isPosition(ours) && [theirs, ours].some((position) => this.#isUnsure(position));
    }
    if (theirs === null || ours === null || typeof theirs !== "object" || typeof ours !== "object")
      return theirs === ours;
    const keys = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
    return [...keys].every((key) => this.isAlike(theirs[key], ours[key]));
  }
}

function isChange({ op }) {
  return ["append", "delete", "tombstone", "batch item"].includes(op);
}

function isPosition(text) {
  return /^[=>]w\d/.test(text);
}

function isOwn({ ok }, label) {
  const position = Array.isArray(ok) ? ok : ok?.pos;
  return position?.[0] === `=${label}`;
}

function isStrict(data) {
  if (typeof data !== "string" || /[\ue000-\ue0ff]/.test(data)) return false;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}
