import assert from "node:assert/strict";
import pg from "pg";
import type { Json } from "../../src/domain/digest.js";
import { canonicalJson, sha256 } from "../../src/domain/digest.js";
import type { TestAccess } from "../support/database.js";
import { answerOf } from "../support/stub-pod.js";
import { readClientLog } from "./client-log.js";
import { clientBreaches } from "./client-rules.js";
import { type Facts, factsOf } from "./facts.js";
import { fairnessBreaches } from "./fairness-history.js";
import { type FileLook, fileBreaches } from "./files.js";
import { type Observation, publishedIds, readObservations } from "./observations.js";
import { type Breach, breachOf, type Query, type Rule } from "./rule.js";
import { deliveryRules } from "./rules-delivery.js";
import { runRules } from "./rules-runs.js";
import { secretBreaches } from "./secrets.js";

/** What a checker looks at. The login must see every tenant's rows: a superuser of the database. */
export interface CheckSources {
  readonly login: pg.ClientConfig;
  /** True once everything that was begun has ended: then nothing may be open, unpublished or unheard. */
  readonly atRest: boolean;
  /** How files are read again; without it they are not. */
  readonly look?: FileLook;
  /** What clients did, as `ClientLog` writes it. */
  readonly clientLogs?: readonly string[];
  /** Files or folders with the service's logs. */
  readonly logs?: readonly string[];
  /** What was seen on the bus, or files with it. */
  readonly observations?: readonly (Observation | string)[];
  /** Secrets that were planted and may stand nowhere. */
  readonly canaries?: readonly string[];
  /** True where stub pods did the work, whose results follow from their specs. */
  readonly stubAnswers?: boolean;
}

/** What a checker found. */
export interface Verdict {
  readonly breaches: readonly Breach[];
  readonly facts: Facts;
}

/** Checks everything in one snapshot of the database. */
export async function check(sources: CheckSources): Promise<Verdict> {
  const client = new pg.Client(sources.login);
  client.on("error", () => undefined); // told by the query that it breaks
  await client.connect();
  try {
    await client.query("begin isolation level repeatable read read only");
    await assertSeesAll(client);
    const query: Query = async (text, values = []) => (await client.query(text, [...values])).rows;
    return await checkSnapshot(query, sources);
  } finally {
    await client.end();
  }
}

/** A role that row-level security holds back would find every rule kept. */
async function assertSeesAll(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ sees: boolean; role: string }>(
    "select rolsuper or rolbypassrls as sees, rolname as role from pg_roles where rolname = current_user",
  );
  if (rows[0]?.sees !== true) {
    throw new RangeError(`wanted a role that sees every tenant's rows, but got ${rows[0]?.role}`);
  }
}

/** As `check`, on the reader's own transaction. */
export async function checkSnapshot(query: Query, sources: Omit<CheckSources, "login">): Promise<Verdict> {
  const { atRest, look, canaries = [], logs = [], stubAnswers = false } = sources;
  const calls = (sources.clientLogs ?? []).flatMap(readClientLog);
  const observations = (sources.observations ?? []).flatMap((seen) =>
    typeof seen === "string" ? readObservations(seen) : [seen],
  );
  const breaches: Breach[] = [];
  for (const rule of [...runRules, ...deliveryRules, ...(await tenantRules(query))]) {
    if (rule.atRest !== true || atRest) breaches.push(...breachOf(rule, await query(rule.sql)));
  }
  breaches.push(...(await clientBreaches(query, calls)));
  breaches.push(...(await phantomBreaches(query, observations)));
  if (look !== undefined) breaches.push(...(await fileBreaches(query, look)));
  if (stubAnswers) breaches.push(...(await answerBreaches(query)));
  const fairness = await fairnessBreaches(query);
  breaches.push(...fairness.breaches);
  if (canaries.length > 0) breaches.push(...(await secretBreaches(query, canaries, logs)));
  const facts = await factsOf(query, { calls, observations, logs, contested: fairness.contested });
  return { breaches, facts };
}

/** I15 for every table that names a run or an experiment, those of later migrations too. */
async function tenantRules(query: Query): Promise<Rule[]> {
  const tables = await query<{ name: string; parent: string }>(
    `select quote_ident(c.table_name) as name, case c.column_name when 'run_id' then 'run' else 'experiment' end as parent
     from information_schema.columns c
     join information_schema.columns t on t.table_schema = 'public' and t.table_name = c.table_name and t.column_name = 'tenant_id'
     where c.table_schema = 'public' and c.column_name in ('run_id', 'experiment_id')`,
  );
  const rules = tables.map(
    ({ name, parent }): Rule => ({
      invariant: "I15",
      says: `rows of ${name} are of the tenant of their ${parent}`,
      sql: `select c.${parent}_id, c.tenant_id, p.tenant_id as wanted from ${name} c left join ${parent} p on p.id = c.${parent}_id
          where c.${parent}_id is not null and p.tenant_id is distinct from c.tenant_id`,
    }),
  );
  const outbox: Rule = {
    invariant: "I15",
    says: "messages are of the tenant of their experiment, and their keys say so",
    sql: `select o.event_id, o.tenant_id, o.key, e.tenant_id as wanted from outbox o
          left join experiment e on e.id::text = o.payload ->> 'experimentId'
          where e.tenant_id is distinct from o.tenant_id or o.key <> o.tenant_id || ':' || (o.payload ->> 'experimentId')`,
  };
  return [...rules, outbox];
}

/** I16: a stub's result is a function of its spec; one that says its attempt counts for no other. */
async function answerBreaches(query: Query): Promise<Breach[]> {
  const rows = await query<{
    id: string;
    spec: string;
    epoch: number;
    reused: boolean;
    metrics: { readonly [key: string]: Json | undefined };
    content_sha256: string;
  }>(
    `select r.id, r.spec, x.epoch, r.reused_from is not null as reused, x.metrics, x.content_sha256
     from run r join result x on x.run_id = r.id`,
  );
  const wrong = rows.filter(({ spec, metrics, content_sha256, epoch, reused }) => {
    const isForeign = metrics["epoch"] !== undefined && metrics["epoch"] !== epoch && !reused;
    const isOther =
      metrics["value"] !== answerOf(JSON.parse(spec)) || sha256(canonicalJson(metrics)) !== content_sha256;
    return isForeign || isOther;
  });
  return breachOf(
    { invariant: "I16", says: "every result is the one of its own spec and attempt" },
    wrong.map(({ id, epoch, metrics }) => ({ id, epoch, metrics })),
  );
}

/** I9 from the other side: the bus tells of nothing that was never committed. Messages that were pruned since are long gone. */
async function phantomBreaches(query: Query, observations: readonly Observation[]): Promise<Breach[]> {
  const rows = await query(
    `select distinct seen.id as event_id from unnest($1::text[]) as seen(id)
     where not exists (select 1 from outbox o where o.event_id::text = seen.id)`,
    // A record without an id of ours was put there by somebody else.
    [publishedIds(observations).filter((id) => /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id))],
  );
  return breachOf({ invariant: "I9", says: "nothing was published that was not committed" }, rows);
}

/** What is told of a breach. */
export function sentenceOf({ invariant, says, rows, count }: Breach): string {
  const shown = rows.map((row) => `  ${JSON.stringify(row)}`).join("\n");
  return `${invariant} is broken (${says}) by ${count} row${count === 1 ? "" : "s"}:\n${shown}`;
}

/** Fails with every broken invariant and the rows that break it. */
export function assertHolds({ breaches }: Verdict): void {
  assert.ok(breaches.length === 0, breaches.map(sentenceOf).join("\n"));
}

/** Fails when a test's database breaks a rule that holds at every moment. */
export async function assertInvariants({ access }: { readonly access: TestAccess }): Promise<void> {
  assertHolds(await check({ login: access.admin, atRest: false }));
}
