import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Content } from "./http.js";

/** A file that is served to anybody. */
export interface Asset extends Content {
  readonly headers: Readonly<Record<string, string>>;
}

/** Nothing from elsewhere, no script but ours. CodeMirror and the tooltips write style elements of their own. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "font-src 'self' data:",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const packaged: readonly {
  readonly path: string;
  readonly from: readonly [string, string];
  readonly contentType: string;
}[] = [
  {
    path: "/assets/react.js",
    from: ["react", "umd/react.production.min.js"],
    contentType: "text/javascript; charset=utf-8",
  },
  {
    path: "/assets/react-dom.js",
    from: ["react-dom", "umd/react-dom.production.min.js"],
    contentType: "text/javascript; charset=utf-8",
  },
  {
    path: "/assets/graphql-ws.js",
    from: ["graphql-ws", "umd/graphql-ws.min.js"],
    contentType: "text/javascript; charset=utf-8",
  },
  { path: "/assets/graphiql.js", from: ["graphiql", "graphiql.min.js"], contentType: "text/javascript; charset=utf-8" },
  { path: "/assets/graphiql.css", from: ["graphiql", "graphiql.min.css"], contentType: "text/css; charset=utf-8" },
];

/** The console: GraphiQL with everything that it loads, from the packages of this installation. */
export async function graphiqlAssets(): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>([
    ["/", asset("text/html; charset=utf-8", page)],
    ["/assets/console.js", asset("text/javascript; charset=utf-8", script)],
    ["/assets/console.css", asset("text/css; charset=utf-8", style)],
  ]);
  for (const { path, from, contentType } of packaged)
    assets.set(path, asset(contentType, await readFile(packagedFile(...from))));
  return assets;
}

function asset(contentType: string, body: string | Buffer): Asset {
  const etag = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  const headers = {
    "content-security-policy": policy,
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
    etag: `"${etag}"`,
  };
  return { contentType, body, headers };
}

/** A file of an installed package, whether or not the package exports it. */
function packagedFile(name: string, file: string): string {
  return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file);
}

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Assay</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/assets/graphiql.css">
    <link rel="stylesheet" href="/assets/console.css">
    <script src="/assets/react.js" defer></script>
    <script src="/assets/react-dom.js" defer></script>
    <script src="/assets/graphql-ws.js" defer></script>
    <script src="/assets/graphiql.js" defer></script>
    <script src="/assets/console.js" defer></script>
  </head>
  <body>
    <form id="ask">
      <label for="key">API key</label>
      <input id="key" type="password" autocomplete="off" spellcheck="false" required>
      <button>Open</button>
      <p id="told" role="status"></p>
      <p>The embedded service keeps its key in the file <code>key</code> of its data folder.</p>
    </form>
    <div id="console" hidden></div>
    <noscript>The console needs JavaScript; the API at /graphql does not.</noscript>
  </body>
</html>
`;

const style = `[hidden] { display: none !important; }
html, body { height: 100%; margin: 0; }
body { font-family: system-ui, sans-serif; }
#console { height: 100vh; }
#ask { max-width: 32rem; margin: 4rem auto; display: grid; gap: .5rem; padding: 0 1rem; }
#ask input, #ask button { font: inherit; padding: .4rem; }
#told { color: #a40000; margin: 0; min-height: 1.2em; }
`;

/** Runs in the browser. The key stays in this tab's session storage and leaves it only towards this service. */
const script = `"use strict";
const ask = document.getElementById("ask");
const told = document.getElementById("told");
const firstQuery = "{\\n  viewer {\\n    project { id name }\\n  }\\n}\\n";

function authorization() {
  return { authorization: "Bearer " + sessionStorage.getItem("assay-key") };
}

async function isGood(key) {
  const headers = { authorization: "Bearer " + key, "content-type": "application/json" };
  const answer = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query: "{ __typename }" }) });
  return answer.status !== 401;
}

function show() {
  ask.hidden = true;
  const place = document.getElementById("console");
  place.hidden = false;
  const url = new URL("/graphql", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const wsClient = graphqlWs.createClient({ url: url.href, connectionParams: authorization });
  const fetcher = GraphiQL.createFetcher({ url: "/graphql", headers: authorization(), wsClient });
  const element = React.createElement(GraphiQL, { fetcher, defaultQuery: firstQuery, shouldPersistHeaders: false });
  ReactDOM.createRoot(place).render(element);
}

ask.addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = document.getElementById("key").value.trim();
  if (await isGood(key)) {
    sessionStorage.setItem("assay-key", key);
    show();
  } else {
    told.textContent = "This key is not good: it is malformed, unknown, expired or revoked.";
  }
});

if (sessionStorage.getItem("assay-key") !== null) show();
`;
