// The pages over HTTP/1.1 and HTTP/2, the members of the cluster, and what is answered to calls that there are not.

import http from "node:http";
import http2 from "node:http2";

const COMPARED_HEADERS = [
  "content-type",
  "allow",
  "location",
  "www-authenticate",
  "access-control-allow-origin",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-allow-credentials",
  "vary",
  "cache-control",
  "etag",
  "server",
  "strict-transport-security",
  "transfer-encoding",
  "content-length",
  "connection",
];
const JSON_BODY = { body: "{}", headers: { "content-type": "application/json" } };
const ORIGIN = "http://example.com";
const LONG = 300;

/** The types of what a value has in it. */
function shape(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length > 0 ? [shape(value[0])] : [];
  if (typeof value !== "object") return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item)]));
}

/** A value without what is deeper in it. */
function upTo(depth, value) {
  if (!value || typeof value !== "object" || Array.isArray(value)) return value;
  if (depth <= 0) return "{…}";
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, upTo(depth - 1, item)]));
}

function shown(status, headers, body, { full = false, deep = 2 } = {}) {
  const isCompared = (key) => headers[key] !== undefined && !(key === "content-length" && Number(headers[key]) > 0);
  const compared = Object.fromEntries(COMPARED_HEADERS.filter(isCompared).map((key) => [key, headers[key]]));
  try {
    const json = JSON.parse(body);
    return { status, headers: compared, json: full ? json : upTo(deep, shape(json)) };
  } catch {
    return { status, headers: compared, text: body.length > LONG ? `${body.slice(0, 80)}… (long)` : body };
  }
}

async function whole(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** Asks over HTTP/1.1. */
function h1(address, method, path, { headers = {}, body, ...form } = {}) {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const request = http.request({ host: hostname, port, method, path, agent: false, headers }, async (answer) => {
      resolve(shown(answer.statusCode, answer.headers, await whole(answer), form));
    });
    request.on("error", (error) => resolve({ error: error.code }));
    request.end(body);
  });
}

/** Asks over HTTP/2. */
function h2(address, method, path, { headers = {}, body, ...form } = {}) {
  const session = http2.connect(`http://${address}`);
  return new Promise((resolve) => {
    session.on("error", (error) => resolve({ error: error.code }));
    const request = session.request({ ":method": method, ":path": path, ...headers });
    request.on("error", (error) => resolve({ error: error.code }));
    request.on("response", async (answer) => {
      resolve(shown(answer[":status"], answer, await whole(request), form));
      session.close();
    });
    request.end(body);
  });
}

async function overBoth(probe, method, path, options) {
  for (const [version, ask] of [["h1", h1], ["h2", h2]]) {
    probe.out(`${version}.${method} ${path}`, await ask(probe.address, method, path, options));
  }
}

/** Each page, and what is none. */
export async function pages(probe) {
  const live = ["/health/live", "/health/live?liveCode=200", "/health/live?liveCode=999", "/health/live?liveCode=abc"];
  for (const path of [...live, "/health/ready", "/health", "/health/live/", "/Health/Live"]) {
    await overBoth(probe, "GET", path);
  }
  for (const path of ["/ping", "/info"]) await overBoth(probe, "GET", path, { full: true });
  await overBoth(probe, "GET", "/stats", { deep: 1 });
  for (const path of ["/stats/proc", "/stats/proc/cpu", "/stats/es/queue", "/stats/nope", "/stats?format=json"]) {
    await overBoth(probe, "GET", path);
  }
  for (const path of ["/info/options", "/gossip", "/stats/replication", "/stats/tcp", "/sys/subsystems", "/metrics", "/"]) {
    await overBoth(probe, "GET", path);
  }
  const none = ["/nope", "/streams", "/streams/x", "/streams/$all", "/users", "/users/", "/projections/any"];
  const others = ["/projections/all-non-transient", "/admin/scavenge", "/subsystems", "/histogram/writer", "/elections"];
  const last = ["/ui", "/-/liveness", "/event_store.client.streams.Streams/Read"];
  for (const path of [...none, ...others, ...last]) await overBoth(probe, "GET", path);
}

/** Methods that pages have, and that they have not. */
export async function methods(probe) {
  const withBody = ["POST", "PUT", "PATCH"];
  for (const method of ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"]) {
    await overBoth(probe, method, "/health/live", withBody.includes(method) ? JSON_BODY : {});
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]) {
    for (const path of ["/info", "/ping", "/gossip", "/stats"]) {
      await overBoth(probe, method, path, withBody.includes(method) ? JSON_BODY : {});
    }
  }
}

/** In which formats a page is given, and to pages of which sites. */
export async function formats(probe) {
  const { address } = probe;
  const known = ["application/json", "text/xml", "text/plain", "*/*", "application/xml"];
  for (const accept of [...known, "text/html", "application/vnd.nope"]) {
    for (const path of ["/ping", "/info", "/gossip", "/stats/proc"]) {
      probe.out(`h1.accept ${accept} ${path}`, await h1(address, "GET", path, { headers: { accept }, deep: 1 }));
    }
  }
  const ping = ["json", "xml", "text", "nope"].map((format) => `/ping?format=${format}`);
  for (const path of [...ping, "/info?format=xml", "/gossip?format=xml"]) {
    probe.out(`h1.GET ${path}`, await h1(address, "GET", path, { full: true }));
  }
  for (const path of ["/info", "/gossip", "/health/live", "/nope"]) {
    const origin = { origin: ORIGIN };
    probe.out(`h1.cors GET ${path}`, await h1(address, "GET", path, { headers: origin, deep: 1 }));
    const headers = {
      ...origin,
      "access-control-request-method": "GET",
      "access-control-request-headers": "authorization",
    };
    probe.out(`h1.cors preflight ${path}`, await h1(address, "OPTIONS", path, { headers }));
  }
}

/** What is told of the node, over both protocols. */
export async function node(probe) {
  const { client, address } = probe;
  const { json } = await h1(address, "GET", "/gossip", { full: true });
  const counters = ["lastCommitPosition", "writerCheckpoint", "chaserCheckpoint", "epochPosition", "epochNumber"];
  const members = json?.members.map((member) => ({
    ...member,
    ...Object.fromEntries(counters.map((key) => [key, typeof member[key]])),
  }));
  probe.out("gossip.http.values", { ...json, members });
  const gossip = await client.call("gossip", "read", {});
  const told = gossip.ok?.members.map(({ instance_id, time_stamp, ...member }) => ({
    instance_id: instance_id?.value,
    time_stamp: `${String(time_stamp).length} digits`,
    ...member,
  }));
  probe.out("gossip.grpc", told ?? gossip);
  const { ok, err } = await client.call("features", "getSupportedMethods", {});
  const method = ({ service_name, method_name, features }) =>
    `${service_name}/${method_name}${features.length > 0 ? ` [${features.join(",")}]` : ""}`;
  probe.out("features", ok ? { version: ok.event_store_server_version, methods: ok.methods.map(method).sort() } : err);
  probe.out("stats.grpc", await toldAgain(client));
  for (const path of [
    "/event_store.client.streams.Streams/Nope",
    "/nope.Service/X",
    "/event_store.client.gossip.Gossip/Read",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
  ]) {
    probe.out(`grpc.raw ${path}`, await rawCall(address, path));
  }
}

/** What is told twice of how the store does. */
async function toldAgain(client) {
  const request = { use_metadata: false, refresh_time_period_in_ms: 500 };
  const { items, err } = await client.collect("monitoring", "stats", request, { most: 2, timeout: 4000 });
  if (err) return err;
  const names = Object.keys(items[0].stats);
  const beginning = (prefix, most) => names.filter((name) => name.startsWith(prefix)).slice(0, most);
  const isShown = ([name]) => /proc-threadsCount|proc-startTime|es-queue-mainQueue-length/i.test(name);
  const sample = Object.entries(items[0].stats).filter(isShown).map(([name, value]) => [name, typeof value]);
  const [proc, es, sys] = [beginning("proc", 12), beginning("es-", 6), beginning("sys-", 10)];
  return { n: items.length, keys: names.length, proc, es, sys, sample };
}

/** An empty message to a method, whatever it is. */
function rawCall(address, path) {
  const session = http2.connect(`http://${address}`);
  return new Promise((resolve) => {
    let head;
    let trailers;
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const request = session.request(headers);
    request.on("response", (answer) => {
      head = answer;
    });
    request.on("trailers", (answer) => {
      trailers = answer;
    });
    request.on("error", (error) => resolve({ error: error.code }));
    request.on("end", () => {
      const told = (key) => head?.[key] ?? trailers?.[key];
      const [grpc, msg] = [told("grpc-status"), told("grpc-message")];
      resolve({ status: head?.[":status"], ct: head?.["content-type"], grpc, msg });
      session.close();
    });
    request.resume();
    request.end(Buffer.alloc(5));
  });
}

/** The addresses that a store tells that was told to advertise others. */
export async function advertised(probe) {
  const { ok, err } = await probe.client.call("gossip", "read", {});
  const told = ok?.members.map((member) => ({ ...member, instance_id: "<uuid>", time_stamp: "n" }));
  probe.out("gossip.grpc", told ?? err);
  const { json } = await h1(probe.address, "GET", "/gossip", { full: true });
  const isTold = ([key]) => /Ip$|Port|EndPoint|state|alive|dvertise/i.test(key);
  const members = json?.members.map((member) => Object.fromEntries(Object.entries(member).filter(isTold)));
  probe.out("gossip.http", { ...json, members });
}
