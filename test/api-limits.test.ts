import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { ask, testApi } from "./support/api.js";

const { api, holder } = await testApi({ headersWaitMs: 500 });
const authorization = `Bearer ${holder.key}`;

/** A request as it is, for what `fetch` or `ask` would not send. */
async function raw(init: RequestInit, path = "/graphql"): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${api.url}${path}`, { ...init, headers: { authorization, ...init.headers } });
  return { status: answer.status, text: await answer.text() };
}

const json = { "content-type": "application/json" };

describe("a document over a limit", () => {
  const nested = (depth: number): string =>
    `{ ${"viewer { project { ".repeat(depth / 2)} id ${"} }".repeat(depth / 2)} }`;
  const fanOut = (fragments: number): string => {
    const names = Array.from({ length: fragments }, (_, i) => `f${i}`);
    const bodies = names.map((name, i) => {
      const next = names[i + 1];
      return `fragment ${name} on Query { ${next === undefined ? "__typename" : `...${next} ... on Query { ...${next} }`} }`;
    });
    return `{ ...f0 } ${bodies.join(" ")}`;
  };
  const cases: readonly [string, string][] = [
    ["depth 22", nested(22)],
    ["depth 600", nested(600)],
    ["31 aliases", `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: __typename`).join(" ")} }`],
    ["3,000 tokens", `{ ${"__typename ".repeat(3_000)} }`],
    ["1,000 times one field", `{ ${"__typename ".repeat(1_000)} }`],
    ["51 directives", `{ __typename ${"@include(if: true) ".repeat(51)} }`],
    ["2^30 fields through fragments", fanOut(30)],
    ["a page of 101", "{ experiments(first: 101) { edges { cursor } } }"],
    ["a page of a thousand million", "{ experiments(last: 1000000000) { edges { cursor } } }"],
    [
      "a million nodes in nested pages",
      "{ experiments(first: 100) { edges { node { runs(first: 100) { edges { node { events(first: 100) { edges { cursor } } } } } } } } }",
    ],
  ];
  for (const [name, query] of cases) {
    it(`is refused before anything is resolved: ${name}`, async () => {
      const { status, body } = await ask({ api, key: holder.key }, query);
      assert.equal(status, 400);
      assert.equal(body.errors?.[0]?.extensions["code"], "QUERY_TOO_COMPLEX");
      assert.match(body.errors?.[0]?.message ?? "", /^(first|last)?:? ?wanted .*, but got /);
      assert.equal(body.data, undefined);
    });
  }

  it("is refused when the page's size comes in a variable", async () => {
    const query = "query ($n: Int!) { experiments(first: $n) { edges { cursor } } }";
    const { status, body } = await ask({ api, key: holder.key }, query, { n: 101 });
    assert.equal(status, 400);
    assert.equal(body.errors?.[0]?.extensions["code"], "QUERY_TOO_COMPLEX");
  });

  it("leaves documents at the limit alone", async () => {
    const aliases = Array.from({ length: 30 }, (_, i) => `a${i}: __typename`).join(" ");
    assert.equal((await ask({ api, key: holder.key }, `{ ${aliases} }`)).status, 200);
    assert.equal((await ask({ api, key: holder.key }, "{ experiments(first: 100) { edges { cursor } } }")).status, 200);
  });

  it("is refused when a fragment is in itself", async () => {
    const query = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    const { status, body } = await ask({ api, key: holder.key }, query);
    assert.equal(status, 400);
    assert.equal(body.errors?.[0]?.extensions["code"], "MALFORMED_REQUEST");
  });

  it("is refused when introspection goes in circles", async () => {
    const query =
      '{ __type(name: "Run") { fields { type { fields { type { fields { type { fields { name } } } } } } } } }';
    assert.equal((await ask({ api, key: holder.key }, query)).status, 400);
  });
});

describe("a request that is not plain GraphQL over HTTP", () => {
  const body = JSON.stringify({ query: "{ __typename }" });
  const cases: readonly [string, number, RequestInit, string?][] = [
    ["a batch", 400, { method: "POST", headers: json, body: `[${body},${body}]` }],
    [
      "text/plain, as a form of another site could send",
      415,
      { method: "POST", headers: { "content-type": "text/plain" }, body },
    ],
    [
      "a form",
      415,
      {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "query=%7B__typename%7D",
      },
    ],
    [
      "a multipart form",
      415,
      { method: "POST", headers: { "content-type": "multipart/form-data; boundary=x" }, body: "--x--" },
    ],
    ["a compressed body", 415, { method: "POST", headers: { ...json, "content-encoding": "gzip" }, body }],
    ["another charset", 415, { method: "POST", headers: { "content-type": "application/json; charset=latin1" }, body }],
    ["no JSON", 400, { method: "POST", headers: json, body: "{" }],
    ["bytes that are no UTF-8", 400, { method: "POST", headers: json, body: Buffer.from([0x22, 0xff, 0x22]) }],
    ["a body over 1 MiB", 413, { method: "POST", headers: json, body: `"${"x".repeat(2 ** 20)}"` }],
    ["another method", 405, { method: "DELETE" }],
    [
      "a mutation by GET",
      405,
      { method: "GET" },
      `/graphql?query=${encodeURIComponent('mutation { cancelExperiment(input: {experimentId: "x"}) { changed } }')}`,
    ],
    ["a path that is not there", 404, { method: "GET" }, "/graphql/more"],
  ];
  for (const [name, status, init, path] of cases) {
    it(`is refused with ${status}: ${name}`, async () => {
      const answer = await raw(init, path);
      assert.equal(answer.status, status, answer.text);
      assert.ok(JSON.parse(answer.text).errors[0].extensions.code, "the refusal names a code");
    });
  }

  it("is refused without being read to its end when it never ends", async () => {
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.alloc(2 ** 16, 0x20)) });
    const init: RequestInit = { method: "POST", headers: json, body: endless, duplex: "half" };
    // The connection is cut while the client still sends, so it sees either the answer or the cut.
    const status = await raw(init).then(
      (answer) => answer.status,
      () => 413,
    );
    assert.equal(status, 413);
    assert.equal((await raw({ method: "POST", headers: json, body })).status, 200);
  });
});

describe("text that cannot be stored", () => {
  const cases: readonly [string, string][] = [
    ["NUL in a variable", '{"query":"query ($id: ID!) { run(id: $id) { id } }","variables":{"id":"a\\u0000"}}'],
    [
      "half a surrogate pair in a variable",
      '{"query":"query ($id: ID!) { run(id: $id) { id } }","variables":{"id":"\\ud800"}}',
    ],
    ["NUL in a literal", '{"query":"{ run(id: \\"a\\\\u0000\\") { id } }"}'],
    ["a __proto__ key", '{"query":"{ __typename }","variables":{"__proto__":{"admin":true}}}'],
    ["variables nested 100 deep", `{"query":"{ __typename }","variables":{"a":${"[".repeat(100)}${"]".repeat(100)}}}`],
  ];
  for (const [name, body] of cases) {
    it(`is refused with 400: ${name}`, async () => {
      const answer = await raw({ method: "POST", headers: json, body });
      assert.equal(answer.status, 400, answer.text);
      assert.equal(JSON.parse(answer.text).errors[0].extensions.code, "INVALID_INPUT");
      assert.equal(Reflect.get({}, "admin"), undefined);
    });
  }

  it("is refused in the parameters of a GET too", async () => {
    const variables = encodeURIComponent('{"id":"\\u0000"}');
    const query = encodeURIComponent("query ($id: ID!) { run(id: $id) { id } }");
    assert.equal((await raw({ method: "GET" }, `/graphql?query=${query}&variables=${variables}`)).status, 400);
  });
});

describe("an answer", () => {
  it("never suggests names of the schema", async () => {
    const { body } = await ask({ api, key: holder.key }, "{ viewr { projct } }");
    assert.equal(body.errors?.[0]?.extensions["code"], "MALFORMED_REQUEST");
    assert.doesNotMatch(JSON.stringify(body), /Did you mean|viewer/);
  });

  it("refuses fields that an input does not have, whatever they are called", async () => {
    const query = `mutation ($input: CancelExperimentInput!) { cancelExperiment(input: $input) { changed } }`;
    for (const field of ["tenantId", "state", "epoch", "constructor"]) {
      const { status, body } = await ask({ api, key: holder.key }, query, {
        input: { experimentId: "x", [field]: "y" },
      });
      assert.equal(status, 400, field);
      assert.equal(body.errors?.[0]?.extensions["code"], "INVALID_INPUT", field);
    }
  });
});

describe("the console", () => {
  it("is a page that loads nothing from elsewhere and runs no script of its own text", async () => {
    const page = await fetch(`${api.url}/`);
    assert.equal(page.status, 200);
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /script-src 'self'(;|$)/);
    const html = await page.text();
    assert.doesNotMatch(html, /https?:\/\//);
    const loaded = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path ?? "");
    assert.ok(loaded.length >= 6, `found ${loaded.length} files`);
    for (const path of loaded) {
      const file = await fetch(`${api.url}${path}`);
      assert.equal(file.status, 200, path);
      assert.match(file.headers.get("content-type") ?? "", path.endsWith(".css") ? /css/ : /javascript/);
      assert.ok((await file.text()).length > 100, path);
    }
    assert.doesNotMatch(html, /<script>|<script(?![^>]*src=)/);
  });
});

describe("a slow client", () => {
  it("does not keep its connection by sending headers slowly", async () => {
    const socket = connect(api.port, "127.0.0.1");
    socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n");
    const ended = await new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += String(chunk);
      });
      socket.on("close", () => resolve(text));
    });
    assert.match(ended, /408/);
  });
});
