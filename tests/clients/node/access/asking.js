// What is asked about access, in the order of the recorded answers: ann has no group, bob is in `team` and `x`, ops is in
// `$ops`, and admin may do everything.

import { randomUUID } from "node:crypto";

import { Caller } from "./calls.js";

const EVERYBODY = ["anon", "ann", "bob", "ops", "admin"];
const WITHOUT_BOB = ["anon", "ann", "ops", "admin"];

/** The answer in one word, if there is one for it. */
function inShort({ err, item }) {
  if (item) return item;
  if (!err) return "ok";
  if (err.code === "PERMISSION_DENIED" && err.trailers.exception === "access-denied") return "DENIED";
  if (err.code === "UNAUTHENTICATED") return "UNAUTH";
  return err;
}

const inFull = ({ err, item }) => err ?? item ?? "ok";

const ACTS = {
  read: (caller, stream) => caller.read(stream),
  append: (caller, stream) => caller.append(stream),
  batch: (caller, stream) => caller.batch(stream),
  delete: (caller, stream) => caller.delete(stream),
  tomb: (caller, stream) => caller.tombstone(stream),
  metaRead: (caller, stream) => caller.read(`$$${stream}`),
  metaWrite: (caller, stream) => caller.writeMetadata(stream),
  sub: (caller, stream) => caller.subscribe(stream, "end").first(),
  psRead: (caller, stream) => caller.consume(stream, "g").first(),
};

const ACL_FORMS = {
  none: {},
  "acl:{}": { $acl: {} },
  'r:"$all"': { $acl: { $r: "$all" } },
  'r:"ann"': { $acl: { $r: "ann" } },
  'r:["ann","$ops"]': { $acl: { $r: ["ann", "$ops"] } },
  "r:[]": { $acl: { $r: [] } },
  'r:"team"': { $acl: { $r: "team" } },
  'r:""': { $acl: { $r: "" } },
  'r:"$admins"': { $acl: { $r: "$admins" } },
  'w:"ann"': { $acl: { $w: "ann" } },
  "w:[]": { $acl: { $w: [] } },
  'd:"ann"': { $acl: { $d: "ann" } },
  'mr:"ann"': { $acl: { $mr: "ann" } },
  'mw:"ann"': { $acl: { $mw: "ann" } },
  "r:null": { $acl: { $r: null } },
  "r:5": { $acl: { $r: 5 } },
  "acl:null": { $acl: null },
  'acl:"$userStreamAcl"': { $acl: "$userStreamAcl" },
  unknownkey: { $acl: { read: "ann", $x: "ann" } },
  'r:"ANN"': { $acl: { $r: "ANN" } },
  'r:"admin"': { $acl: { $r: "admin" } },
};

const ALL_TO_ADMINS = { $r: "$all", $w: "$admins", $d: "$admins", $mr: "$all", $mw: "$admins" };
const SETTINGS = [
  ["wrongType", { $userStreamAcl: { $r: "$admins", $w: "$admins" } }, "other"],
  ["user.r=ops", { $userStreamAcl: { $r: "$ops" } }],
  ["user.r=[],w=ann", { $userStreamAcl: { $r: [], $w: "ann" } }],
  ["system.r=ann", { $systemStreamAcl: { $r: "ann" } }],
  ["system.r=all", { $systemStreamAcl: { $r: "$all", $w: "$admins" }, $userStreamAcl: ALL_TO_ADMINS }],
  ["invalid", "nonsense"],
  ["reset", {}],
];

/** Everybody who calls, by name. */
export function callersOf(address) {
  const user = (credentials) => Caller.user(address, credentials);
  return {
    anon: new Caller(address),
    badpw: user("admin:wrong"),
    unknown: user("nobody:x"),
    ann: user("ann:pw"),
    bob: user("bob:pw"),
    ops: user("ops:changeit"),
    admin: user("admin:changeit"),
    bearer: new Caller(address, { authorization: "Bearer xyz" }),
    basicGarbage: new Caller(address, { authorization: "Basic !!!" }),
    basicNoColon: new Caller(address, { authorization: `Basic ${Buffer.from("admin").toString("base64")}` }),
  };
}

/** Asks everything and gives each answer by its key. */
export async function askOfAccess(callers) {
  const answers = new Map();
  const run = `r${randomUUID().slice(0, 6)}`;
  const asking = new Asking(callers, run, (key, answer) => answers.set(masked(key, run), masked(answer, run)));
  await asking.refusals();
  await asking.byDefault();
  await asking.knownStreams();
  await asking.groups();
  await asking.openServices();
  await asking.forms();
  await asking.changes();
  await asking.settings();
  return answers;
}

/** The names that differ in each run as they are recorded. */
export function masked(value, run) {
  const text = JSON.stringify(value).replaceAll(run, "RUN");
  return JSON.parse(text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "<uuid>"));
}

class Asking {
  constructor(callers, run, tell) {
    Object.assign(this, { callers, run, tell });
    this.ordinary = `ord-${run}`;
    this.system = `$sys${run}`;
  }

  /** What each of them hears of one act. */
  async each(names, act, ...more) {
    const heard = {};
    for (const name of names) heard[name] = inShort(await act(this.callers[name], ...more));
    return heard;
  }

  /** What each of them hears of each act with a stream; a new stream for everybody if none is given. */
  async matrix(label, stream, acts, names = EVERYBODY) {
    const heard = {};
    for (const act of acts) {
      heard[act] = await this.each(names, (caller) => ACTS[act](caller, stream ?? `m-${this.run}-${randomUUID()}`));
    }
    this.tell(`matrix.${label}`, heard);
  }

  async refusals() {
    const { admin } = this.callers;
    const locked = `lock-${this.run}`;
    for (const stream of [this.system, this.ordinary, locked]) await admin.append(stream);
    const acl = Object.fromEntries(["$r", "$w", "$d", "$mr", "$mw"].map((right) => [right, "$admins"]));
    await admin.writeMetadata(locked, { $acl: acl });
    for (const stream of [locked, this.ordinary]) await admin.createGroup(stream, "g");
    await admin.createGroup("$all", "g");
    for (const name of ["anon", "badpw", "unknown", "ann"]) {
      for (const [act, ask] of Object.entries(ACTS)) {
        this.tell(`refusal.${name}.${act}`, inFull(await ask(this.callers[name], locked)));
      }
    }
    for (const name of ["bearer", "basicGarbage", "basicNoColon"]) {
      this.tell(`refusal.${name}`, inFull(await this.callers[name].read(this.ordinary)));
    }
  }

  async byDefault() {
    const { ann, admin } = this.callers;
    const acts = ["read", "append", "batch", "sub", "metaRead", "metaWrite"];
    await this.matrix("ordinary", this.ordinary, [...acts, "psRead"]);
    await this.matrix("ordinary.delete", null, ["delete", "tomb"]);
    await this.matrix("system", this.system, acts);
    await this.matrix("system.delete", this.system, ["delete"], WITHOUT_BOB);
    const ofLog = {
      readAll: await this.each(WITHOUT_BOB, ACTS.read, "$all"),
      sub: await this.each(WITHOUT_BOB, ACTS.sub, "$all"),
      metaRead: await this.each(WITHOUT_BOB, ACTS.metaRead, "$all"),
    };
    this.tell("matrix.$all", ofLog);
    this.tell("append.$all.admin", inShort(await admin.append("$all")));
    this.tell("delete.$all.admin", inShort(await admin.delete("$all")));
    this.tell("delete.metastream.admin", inShort(await admin.delete(`$$${this.ordinary}`)));
    this.tell("delete.metastream.ann", inShort(await ann.delete(`$$${this.ordinary}`)));
    this.tell("append.$all.ann", inShort(await ann.append("$all")));
    for (const name of ["ann", "ops", "admin"]) {
      this.tell(`psAll.read.${name}`, inShort(await ACTS.psRead(this.callers[name], "$all")));
    }
  }

  async knownStreams() {
    const acts = ["read", "sub", "metaRead"];
    await this.matrix("missing system", `$nope${this.run}`, acts, WITHOUT_BOB);
    await this.matrix("missing ordinary", `nope-${this.run}`, acts, ["anon", "ann", "admin"]);
    const known = ["$settings", "$users", "$user-ann", "$streams", "$ce-ord", "$et-T", "$scavenges"];
    const others = ["$projections-$all", "$persistentSubscriptionConfig", "$stats-127.0.0.1:2415"];
    for (const stream of [...known, ...others]) {
      await this.matrix(`known.${stream}`, stream, ["read", "metaRead"], WITHOUT_BOB);
    }
  }

  async groups() {
    const heard = {};
    for (const name of WITHOUT_BOB) {
      const caller = this.callers[name];
      heard[name] = {
        create: inShort(await caller.createGroup(this.ordinary, `n${name}`)),
        info: inShort(await caller.groupInfo(this.ordinary, "g")),
        list: inShort(await caller.listGroups()),
        replay: inShort(await caller.replayParked(this.ordinary, "g")),
        update: inShort(await caller.updateGroup(this.ordinary, "g")),
        delete: inShort(await caller.deleteGroup(this.ordinary, `n${name}`)),
        restart: ["ops", "admin"].includes(name) ? "-" : inShort(await caller.restartGroups()),
      };
    }
    this.tell("ps.manage", heard);
    this.tell("ps.create.ann.verbatim", await this.callers.ann.createGroup(this.ordinary, "zz"));
    this.tell("ps.info.anon.verbatim", await this.callers.anon.groupInfo(this.ordinary, "g"));
  }

  /** Of the other services there are only these two. */
  async openServices() {
    for (const name of ["anon", "badpw", "ann", "ops", "admin"]) {
      const caller = this.callers[name];
      const heard = { gossip: inShort(await caller.gossip()), features: inShort(await caller.features()) };
      this.tell(`services.${name}`, heard);
    }
    this.tell("services.badpw.gossip.verbatim", inFull(await this.callers.badpw.gossip()));
  }

  async forms() {
    const { admin } = this.callers;
    for (const [index, [form, metadata]] of Object.entries(ACL_FORMS).entries()) {
      const stream = `f${index + 1}-${this.run}`;
      await admin.append(stream);
      const heard = { set: inShort(await admin.writeMetadata(stream, metadata)) };
      for (const act of ["read", "append", "metaRead"]) heard[act] = await this.each(EVERYBODY, ACTS[act], stream);
      heard.metaWrite = await this.each(EVERYBODY, (caller) => caller.writeMetadata(stream, metadata));
      heard.delete = await this.each(["anon", "bob", "ann"], ACTS.delete, stream);
      this.tell(`acl.${form}`, heard);
    }
    const stream = `$own${this.run}`;
    const metadata = { $acl: { $r: "ann" } };
    await admin.append(stream);
    await admin.writeMetadata(stream, metadata);
    const heard = {};
    for (const act of ["read", "append", "metaRead"]) heard[act] = await this.each(WITHOUT_BOB, ACTS[act], stream);
    heard.metaWrite = await this.each(WITHOUT_BOB, (caller) => caller.writeMetadata(stream, metadata));
    this.tell("acl.system.r=ann", heard);
  }

  /** A right that is lost while somebody listens. */
  async changes() {
    const { ann, ops, admin } = this.callers;
    const stream = `chg-${this.run}`;
    await admin.append(stream, { i: 0 });
    await admin.createGroup(stream, "g");
    const catchUp = ann.subscribe(stream);
    const consumer = ann.consume(stream, "g");
    const events = () => consumer.messages.filter(({ content }) => content === "event");
    const delivered = () => events().map(({ event }) => event.event.stream_revision);
    await catchUp.until(({ messages }) => messages.some(({ content }) => content === "caught_up"));
    await consumer.until(() => delivered().length === 1);
    await admin.writeMetadata(stream, { $acl: { $r: "$admins" } });
    await admin.append(stream, { i: 1 });
    await catchUp.until(() => false);
    await consumer.until(() => delivered().length === 2);
    this.tell("change.read", {
      catchup: { kinds: catchUp.messages.map(({ content }) => content), end: catchUp.end },
      persistent: { got: delivered(), end: consumer.end },
      readNow: inShort(await ann.read(stream)),
      newPersistent: inShort(await ACTS.psRead(ann, stream)),
      newSub: inShort(await ACTS.sub(ann, stream)),
    });
    consumer.cancel();
    const ofLog = ops.subscribe("$all", "end");
    await ofLog.until(() => false);
    this.tell("ops.sub.$all", { end: ofLog.end, kinds: ofLog.messages.map(({ content }) => content) });
  }

  async settings() {
    const { ann, ops, admin } = this.callers;
    const streams = { user: `st-${this.run}`, system: `$st${this.run}`, ownW: `sto-${this.run}` };
    for (const stream of Object.values(streams)) await admin.append(stream);
    await admin.writeMetadata(streams.ownW, { $acl: { $w: "$all" } });
    this.tell("settings.write.ann", inShort(await ann.append("$settings", {}, "settings")));
    this.tell("settings.write.ops", inShort(await ops.append("$settings", {}, "settings")));
    for (const [name, settings, type = "settings"] of SETTINGS) {
      this.tell(`settings.set.${name}`, inShort(await admin.append("$settings", settings, type)));
      const heard = {};
      for (const [kind, stream] of Object.entries(streams)) {
        heard[kind] = {};
        for (const act of ["read", "append", "metaRead"]) {
          heard[kind][act] = await this.each(WITHOUT_BOB, ACTS[act], stream);
        }
      }
      heard.all = await this.each(WITHOUT_BOB, ACTS.read, "$all");
      this.tell(`settings.${name}`, heard);
    }
  }
}

/** What somebody who has not logged in may do. */
export async function askOfAnonymous({ anon, admin }) {
  const answers = new Map();
  const run = `r${randomUUID().slice(0, 6)}`;
  const tell = (key, answer) => answers.set(key, masked(answer, run));
  const [ordinary, system, other] = [`an-${run}`, `$an${run}`, `an2-${run}`];
  for (const stream of [ordinary, system, other]) await admin.append(stream);
  tell("anon.ordinary", {
    read: inShort(await anon.read(ordinary)),
    append: inShort(await anon.append(ordinary)),
    metaRead: inShort(await anon.read(`$$${ordinary}`)),
    metaWrite: inShort(await anon.writeMetadata(ordinary)),
    delete: inShort(await anon.delete(ordinary)),
  });
  tell("anon.system", { read: inShort(await anon.read(system)), append: inShort(await anon.append(system)) });
  tell("anon.$all", inShort(await anon.read("$all")));
  await admin.append(ordinary);
  await admin.writeMetadata(ordinary, { $acl: { $r: "$admins" } });
  tell("anon.acl.r=admins", inShort(await anon.read(ordinary)));
  await admin.writeMetadata(system, { $acl: { $r: "$all" } });
  tell("anon.system.r=$all", inShort(await anon.read(system)));
  tell("anon.ps.create", inShort(await anon.createGroup(other, "g")));
  await admin.createGroup(other, "g");
  const consumer = anon.consume(other, "g");
  await consumer.until(({ messages }) => messages.length > 0);
  tell("anon.ps.read", { end: consumer.end, ok: consumer.messages.length > 0 });
  consumer.cancel();
  tell("anon.gossip", inShort(await anon.gossip()));
  tell("anon.features", inShort(await anon.features()));
  return answers;
}
